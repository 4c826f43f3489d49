// What sidecars say, checked field by field before anything believes it. Every list has a bound. Pure.

import type { Hello, ResourceError, UpMessage } from '../../proxy/api/discovery.ts';
import {
  latencyBoundsMs,
  maxCallers,
  maxDestinations,
  maxTrustedRoots,
  unpackTraffic,
} from '../../proxy/api/statistics.ts';
import type { ResourceKey } from '../../proxy/api/resources.ts';
import type {
  CallerEdge,
  CertificateFacts,
  DestinationEdge,
  PackedTraffic,
  Statistics,
  TrafficCounters,
} from '../../proxy/api/statistics.ts';
import { parseDestinationName } from '../model/addresses.ts';

/** Destinations of one sidecar; it holds fewer itself. */
export const maxSubscriptions = 8192;
/** Each Destination with a few Endpoints, and the Workload. */
const maxHeld = 4 * maxSubscriptions;
const maxText = 1024;
const maxErrors = 1000;
const maxIps = 16;
/** 10,000 requests/s for three years; 9,000 such sidecars still add up to an exact integer. */
const maxCount = 1e12;

export class MessageError extends Error {
  constructor(path: string, message: string) {
    super(`${path} ${message}`);
    this.name = 'MessageError';
  }
}

/** Throws MessageError with the path of the wrong field. */
export function parseUpMessage(text: string): UpMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MessageError('message', 'is not JSON');
  }
  const message = record('message', value);
  const fields = Object.keys(message);
  if (fields.length !== 1) throw new MessageError('message', 'must have exactly one field');
  switch (fields[0]) {
    case 'hello':
      return { hello: hello(message['hello']) };
    case 'subscribe':
      return { subscribe: destinationNames('subscribe', message['subscribe']) };
    case 'unsubscribe':
      return { unsubscribe: destinationNames('unsubscribe', message['unsubscribe']) };
    case 'ack':
      return { ack: ack(message['ack']) };
    case 'statistics':
      return { statistics: statistics(message['statistics']) };
    case 'draining':
      return { draining: true };
    default:
      throw new MessageError('message', `has an unknown field ${fields[0]!.slice(0, 40)}`);
  }
}

function hello(value: unknown): Hello {
  const given = record('hello', value);
  const pod = record('hello.pod', given['pod']);
  const held = record('hello.held', given['held']);
  const entries = Object.entries(held);
  if (entries.length > maxHeld) throw new MessageError('hello.held', 'has too many entries');
  return {
    pod: {
      namespace: words('hello.pod.namespace', pod['namespace']),
      name: words('hello.pod.name', pod['name']),
      uid: words('hello.pod.uid', pod['uid']),
      ips: list('hello.pod.ips', pod['ips'], maxIps).map((ip) => words('hello.pod.ips', ip)),
    },
    proxyVersion: words('hello.proxyVersion', given['proxyVersion']),
    held: Object.fromEntries(
      entries.map(([key, version]) => [resourceKeyOf(key), words('hello.held', version)]),
    ) as Record<ResourceKey, string>,
    subscribe: destinationNames('hello.subscribe', given['subscribe']),
  };
}

function ack(value: unknown): NonNullable<UpMessage['ack']> {
  const given = record('ack', value);
  const errors = list('ack.errors', given['errors'], maxErrors).map((one): ResourceError => {
    const error = record('ack.errors', one);
    return {
      key: resourceKeyOf(words('ack.errors.key', error['key'])),
      path: clipped('ack.errors.path', error['path']),
      message: clipped('ack.errors.message', error['message']),
    };
  });
  return { nonce: words('ack.nonce', given['nonce']), errors };
}

function statistics(value: unknown): Statistics {
  const given = record('statistics', value);
  const { certificate, callers, destinations } = given;
  return {
    startedAtMs: time('statistics.startedAtMs', given['startedAtMs']),
    inbound: counters('statistics.inbound', given['inbound']),
    outbound: counters('statistics.outbound', given['outbound']),
    ...(callers !== undefined && { callers: callerEdges(callers) }),
    ...(destinations !== undefined && { destinations: destinationEdges(destinations) }),
    certificate: certificate === null ? null : certificateFacts(certificate),
  };
}

function callerEdges(value: unknown): CallerEdge[] {
  const path = 'statistics.callers';
  return list(path, value, maxCallers).map((one) => {
    const given = record(path, one);
    const { identity, address } = given;
    return {
      identity: words(`${path}.identity`, identity),
      address: words(`${path}.address`, address),
      ...packed(path, given),
    };
  });
}

function destinationEdges(value: unknown): DestinationEdge[] {
  const path = 'statistics.destinations';
  return list(path, value, maxDestinations).map((one) => {
    const given = record(path, one);
    return { name: words(`${path}.name`, given['name']), ...packed(path, given) };
  });
}

function packed(path: string, { counters: given, grpc }: Record<string, unknown>): PackedTraffic {
  const most = 6 + 2 * (latencyBoundsMs.length + 1);
  const at = `${path}.counters`;
  const counters = list(at, given, most).map((one) => count(at, one));
  const traffic = { counters, ...(grpc !== undefined && { grpc: count(`${path}.grpc`, grpc) }) };
  if (unpackTraffic(traffic) === null) throw new MessageError(at, 'are not counters');
  return traffic;
}

function certificateFacts(value: unknown): CertificateFacts {
  const path = 'statistics.certificate';
  const given = record(path, value);
  const { notBeforeMs, underRoot, trustedRoots } = given;
  return {
    serial: words(`${path}.serial`, given['serial']),
    notAfterMs: time(`${path}.notAfterMs`, given['notAfterMs']),
    ...(notBeforeMs !== undefined && { notBeforeMs: time(`${path}.notBeforeMs`, notBeforeMs) }),
    ...(underRoot !== undefined && { underRoot: words(`${path}.underRoot`, underRoot) }),
    ...(trustedRoots !== undefined && { trustedRoots: fingerprints(trustedRoots) }),
  };
}

function fingerprints(value: unknown): string[] {
  const path = 'statistics.certificate.trustedRoots';
  return list(path, value, maxTrustedRoots).map((one) => words(path, one));
}

function counters(path: string, value: unknown): TrafficCounters {
  const given = record(path, value);
  const number = (name: string) => count(`${path}.${name}`, given[name]);
  const buckets = latencyBoundsMs.length + 1;
  const latency = list(`${path}.latency`, given['latency'], buckets);
  return {
    requests: number('requests'),
    grpcRequests: given['grpcRequests'] === undefined ? 0 : number('grpcRequests'),
    failures: number('failures'),
    mtlsRequests: number('mtlsRequests'),
    connections: number('connections'),
    mtlsConnections: number('mtlsConnections'),
    denied: number('denied'),
    // Of another version with other buckets: what it counted is taken, how long that took is not known.
    latency: Array.from({ length: buckets }, (_, index) =>
      latency.length === buckets ? count(`${path}.latency`, latency[index]) : 0,
    ),
  };
}

function destinationNames(path: string, value: unknown): string[] {
  return list(path, value, maxSubscriptions).map((one) => {
    const name = words(path, one);
    if (parseDestinationName(name) === null) {
      throw new MessageError(path, `"${name.slice(0, 60)}" is not an address and port`);
    }
    return name;
  });
}

function resourceKeyOf(text: string): ResourceKey {
  if (!/^(?:Workload|Destination|Endpoints)\/./.test(text) || text.length > maxText) {
    throw new MessageError('key', `"${text.slice(0, 60)}" is not the key of a resource`);
  }
  return text as ResourceKey;
}

function record(path: string, value: unknown): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new MessageError(path, 'must be an object');
  }
  return value as Record<string, unknown>;
}

function list(path: string, value: unknown, max: number): unknown[] {
  if (!Array.isArray(value)) throw new MessageError(path, 'must be a list');
  if (value.length > max) throw new MessageError(path, `has more than ${max} entries`);
  return value as unknown[];
}

function words(path: string, value: unknown): string {
  if (typeof value !== 'string') throw new MessageError(path, 'must be text');
  if (value.length > maxText) throw new MessageError(path, `is longer than ${maxText}`);
  return value;
}

/** For text that people read and that may be long. */
function clipped(path: string, value: unknown): string {
  if (typeof value !== 'string') throw new MessageError(path, 'must be text');
  return value.slice(0, maxText);
}

/** Of all sidecars together these are added up: sums must stay exact. */
function count(path: string, value: unknown): number {
  return bounded(path, value, maxCount);
}

/** Milliseconds since 1970 that a Date can hold (ECMA-262, time values). */
function time(path: string, value: unknown): number {
  return bounded(path, value, 8.64e15);
}

function bounded(path: string, value: unknown, max: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= max)) {
    throw new MessageError(path, `must be a number from 0 to ${max}`);
  }
  return value;
}
