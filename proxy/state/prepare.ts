// From a resource as it came to what is put in force: checks everything, keeps nothing. A resource
// that is wrong gives an error with the place; the caller keeps the last good one.

import type { AccessLogSettings } from '../api/access-log.ts';
import type { InboundPort, PolicyRef, Resource } from '../api/resources.ts';
import { parseSpiffeId, type SpiffeId } from '../api/spiffe.ts';
import type {
  EndpointHandle,
  EndpointSet,
  PreparedDestination,
  PreparedWorkload,
} from './prepared.ts';
import { createRouteTable } from '../policy/route-table.ts';
import type { AuthorizerOf } from './authorizers.ts';
import { readAuthorization } from './prepare-authorization.ts';
import { prepareNodes } from './node-local.ts';
import { prepareBalancing, prepareHints } from './prepare-balancing.ts';
import { prepareLabels } from './prepare-match.ts';
import { prepareLimits, prepareOutlier, type RateLimitsOf } from './prepare-protection.ts';
import { prepareBackends, prepareRoute } from './prepare-route.ts';
import { prepareTimes } from './prepare-times.ts';
import { prepareTracing } from './prepare-tracing.ts';
import {
  fail,
  integer,
  list,
  object,
  oneOf,
  percent,
  pointer,
  port,
  text,
  textOrNull,
  type JsonObject,
} from './reader.ts';

const protocols = ['auto', 'http1', 'http2', 'tcp'] as const;
const types = ['Workload', 'Destination', 'Endpoints'] as const;
const modes = ['STRICT', 'PERMISSIVE', 'DISABLE'] as const;

/** What an endpoint is, without its moving figures. */
export type EndpointFacts = Omit<EndpointHandle, 'load'>;

export type Prepared =
  | { type: 'Workload'; value: PreparedWorkload }
  | { type: 'Destination'; value: Omit<PreparedDestination, 'budget' | 'use'> }
  | { type: 'Endpoints'; value: EndpointSet };

/** What outlives a single resource: the one object of an endpoint, the one of the same policies. */
export interface Held {
  handle: (facts: EndpointFacts) => EndpointHandle;
  authorizer: AuthorizerOf;
  rateLimits: RateLimitsOf;
}

/** Throws a ShapeError. */
export function prepare(resource: unknown, held: Held): Prepared {
  const from = object(resource, '');
  const type = oneOf<Resource['type']>(from, 'type', '', types);
  switch (type) {
    case 'Workload':
      return { type, value: prepareWorkload(from, held) };
    case 'Destination':
      return { type, value: prepareDestination(from) };
    case 'Endpoints':
      return { type, value: prepareEndpoints(from, held) };
  }
}

function policiesOf(from: JsonObject): PolicyRef[] {
  return list(from, 'policies', '', (value, path) => {
    const ref = object(value, path);
    return {
      kind: oneOf(ref, 'kind', path, [
        'Mesh',
        'PeerAuthentication',
        'TrafficPolicy',
        'AuthorizationPolicy',
      ]),
      namespace: text(ref, 'namespace', path),
      name: text(ref, 'name', path),
      generation: integer(ref, 'generation', path, { min: 0, max: Number.MAX_SAFE_INTEGER }),
    };
  });
}

function prepareWorkload(from: JsonObject, { authorizer, rateLimits }: Held): PreparedWorkload {
  const inbound = object(from['inbound'], '/inbound');
  const outbound = object(from['outbound'], '/outbound');
  if (text(from, 'name', '') !== 'self') fail('/name', 'must be self');
  policiesOf(from);
  const authorization = readAuthorization(from);
  return {
    trustDomain: text(from, 'trustDomain', ''),
    namespace: text(from, 'namespace', ''),
    serviceAccount: text(from, 'serviceAccount', ''),
    workload: textOrNull(from, 'workload', '') ?? '',
    zone: textOrNull(from, 'zone', '') ?? '',
    node: textOrNull(from, 'node', '') ?? '',
    labels: prepareLabels(from['labels'], '/labels'),
    ports: inboundPorts(object(inbound['ports'], '/inbound/ports')),
    otherPort: inboundPort(inbound['other'], '/inbound/other'),
    authorizer: authorizer(authorization),
    authorization,
    rateLimits: rateLimits(from),
    outbound: {
      policy: oneOf(outbound, 'policy', '/outbound', ['AllowAny', 'RegistryOnly']),
      whenDisconnected: oneOf(outbound, 'whenDisconnected', '/outbound', ['pass', 'refuse']),
    },
    accessLog: accessLog(from),
    tracing: prepareTracing(from['tracing']),
    statisticsIntervalMs: integer(from, 'statisticsIntervalMs', '', { min: 100, max: 3_600_000 }),
  };
}

function accessLog(from: JsonObject): AccessLogSettings {
  const { accessLogFormat, accessLogSampling } = from;
  return {
    mode: oneOf(from, 'accessLog', '', ['off', 'errors', 'all']),
    format:
      accessLogFormat === undefined ? 'json' : oneOf(from, 'accessLogFormat', '', ['json', 'text']),
    sampling: accessLogSampling === undefined ? 100 : percent(from, 'accessLogSampling', ''),
    decidedBy: textOrNull(from, 'accessLogDecidedBy', '') ?? 'Mesh default',
  };
}

function inboundPorts(from: JsonObject): Map<number, InboundPort> {
  const ports = new Map<number, InboundPort>();
  for (const [key, value] of Object.entries(from)) {
    const path = pointer('/inbound/ports', key);
    const number = Number(key);
    if (!/^[1-9][0-9]{0,4}$/.test(key) || number > 65535) fail(path, 'is not named by a port');
    ports.set(number, inboundPort(value, path));
  }
  return ports;
}

function inboundPort(value: unknown, path: string): InboundPort {
  const from = object(value, path);
  return {
    protocol: oneOf(from, 'protocol', path, protocols),
    mtls: oneOf(from, 'mtls', path, modes),
    decidedBy: text(from, 'decidedBy', path),
  };
}

function prepareDestination(from: JsonObject): Omit<PreparedDestination, 'budget' | 'use'> {
  const kind = oneOf(from, 'kind', '', ['service', 'pod', 'external']);
  const routes = list(from, 'routes', '', prepareRoute);
  return {
    name: text(from, 'name', ''),
    kind,
    host: text(from, 'host', ''),
    protocol: oneOf(from, 'protocol', '', protocols),
    routes,
    table: createRouteTable(routes),
    tcp: prepareBackends(from, 'tcp', ''),
    outlier: prepareOutlier(from['outlierDetection'], '/outlierDetection'),
    limits: prepareLimits(from['limits'], '/limits', policiesOf(from)),
    ...prepareTimes(from),
    balancing: prepareBalancing(from['balancing'], '/balancing'),
  };
}

function prepareEndpoints(from: JsonObject, { handle }: Held): EndpointSet {
  const endpoints = list(from, 'endpoints', '', (value, path) => {
    const one = object(value, path);
    const address = text(one, 'address', path);
    const at = port(one, 'port', path);
    const identity = identityOf(one, path);
    return handle({
      key: `${address.includes(':') ? `[${address}]` : address}:${at}|${identity ?? ''}`,
      address,
      port: at,
      identity,
      podName: text(one, 'podName', path),
      zone: text(one, 'zone', path),
    });
  });
  const name = text(from, 'name', '');
  const workload = textOrNull(from, 'workload', '') ?? '';
  return { name, endpoints, workload, hints: prepareHints(from), nodes: prepareNodes(from) };
}

function identityOf(from: JsonObject, path: string): SpiffeId | null {
  if (from['identity'] === null) return null;
  const identity = text(from, 'identity', path);
  if (parseSpiffeId(identity) === null) fail(pointer(path, 'identity'), 'is not a SPIFFE id');
  return identity as SpiffeId;
}
