// The span of one request as OpenTelemetry's semantic conventions for HTTP and RPC want it: names, attributes, and
// what counts as an error. Whether one is wanted was decided before. Queries are left out: they hold what is nobody's.

import type { RequestHead } from '../codec/session.ts';
import { describeError, errorSpec } from '../errors.ts';
import { fieldLine } from '../policy/route-match.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import { isServerFault } from '../telemetry/recorder.ts';
import type { RequestTrace } from '../tracing/tracer.ts';
import type { ExchangeContext } from './context.ts';
import type { LocalReply } from './local-reply.ts';

export interface Ended {
  head: RequestHead;
  route: string;
  status: number;
  grpcStatus: number;
  /** Why the sidecar answered, or broke off. */
  error: LocalReply | null;
  startedMs: number;
  /** Null: it was answered here. */
  carried: {
    endpoint: EndpointHandle | null;
    overMtls: boolean;
    attempts: number;
    requestId: string;
    sentBytes: number;
    receivedBytes: number;
  } | null;
}

export function recordSpan(context: ExchangeContext, trace: RequestTrace, ended: Ended): void {
  const { head, grpcStatus, startedMs } = ended;
  const client = context.direction === 'outbound';
  context.deps.tracer.record(trace, startedMs, {
    name: grpcStatus === noGrpcStatus ? methodOf(head) : head.path.slice(1),
    kind: client ? 'client' : 'server',
    attributes: attributesOf(context, ended),
    error: errorOf(ended, client),
  });
}

/** Methods that a span may be named by; others are what an attacker makes up. */
const knownMethods: ReadonlySet<string> = new Set(
  'CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE QUERY'.split(' '),
);

function methodOf({ method }: RequestHead): string {
  return knownMethods.has(method) ? method : 'HTTP';
}

type Pairs = [name: string, value: string | number | boolean][];

function attributesOf(context: ExchangeContext, ended: Ended): Pairs {
  const { head, status, route, error } = ended;
  const query = head.path.indexOf('?');
  const path = query < 0 ? head.path : head.path.slice(0, query);
  const known = knownMethods.has(head.method);
  const pairs: Pairs = [['http.request.method', known ? head.method : '_OTHER']];
  const add = (name: string, value: string | number): void => {
    if (value !== '') pairs.push([name, value]);
  };
  if (!known) add('http.request.method_original', head.method);
  add('url.scheme', head.scheme);
  add('url.path', path);
  if (context.direction === 'outbound')
    add('url.full', `${head.scheme}://${head.authority}${path}`);
  addServer(add, head);
  add('network.protocol.name', 'http');
  add('network.protocol.version', context.protocol === 'HTTP/2' ? '2' : '1.1');
  add('user_agent.original', fieldLine(head.fields, 'user-agent') ?? '');
  if (context.direction === 'inbound') add('client.address', context.peerAddress);
  if (status > 0) add('http.response.status_code', status);
  addGrpc(add, ended);
  addCarried(add, context, ended);
  add('tsmesh.destination', context.destination);
  add('tsmesh.route', route);
  if (error !== null) addError(add, error);
  else if (status >= 400) add('error.type', String(status));
  return pairs;
}

type Add = (name: string, value: string | number) => void;

function addServer(add: Add, { authority, scheme }: RequestHead): void {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority) ?? [];
  add('server.address', host.replace(/^\[|\]$/g, ''));
  if (host !== '') add('server.port', Number(port ?? (scheme === 'https' ? 443 : 80)));
}

function addGrpc(add: Add, { grpcStatus, head }: Ended): void {
  if (grpcStatus === noGrpcStatus) return;
  const [, service = '', method = ''] = /^\/([^/]+)\/([^/?]+)$/.exec(head.path) ?? [];
  add('rpc.system', 'grpc');
  add('rpc.service', service);
  add('rpc.method', method);
  add('rpc.grpc.status_code', grpcStatus);
}

function addCarried(add: Add, context: ExchangeContext, { carried }: Ended): void {
  const inbound = context.direction === 'inbound';
  if (inbound) add('tsmesh.peer.identity', context.peer);
  if (carried === null) return;
  const { endpoint, overMtls, attempts, requestId, sentBytes, receivedBytes } = carried;
  if (endpoint !== null && !inbound) {
    add('network.peer.address', endpoint.address);
    add('network.peer.port', endpoint.port);
    if (overMtls) add('tsmesh.peer.identity', endpoint.identity ?? '');
  }
  // Of a request, what was sent again: the first time is none.
  if (attempts > 1) add('http.request.resend_count', attempts - 1);
  add('http.request.body.size', sentBytes);
  add('http.response.body.size', receivedBytes);
  add('tsmesh.request_id', requestId);
}

function addError(add: Add, { code, by }: LocalReply): void {
  add('error.type', code);
  add('tsmesh.flag', errorSpec(code).flag);
  if (by === undefined) return;
  add('tsmesh.policy', by.policy);
  add('tsmesh.rule', by.rule);
}

/** HTTP: a client's fault is an error to the client only. gRPC: every status but OK to the client, the server's own to the server. */
function errorOf({ status, grpcStatus, error }: Ended, client: boolean): string | null {
  if (error !== null && (client || status === 0 || status >= 500))
    return describeError(error.code, error.detail);
  if (grpcStatus !== noGrpcStatus) {
    const failed = client ? grpcStatus !== 0 : isServerFault(grpcStatus);
    return failed ? `gRPC status ${grpcStatus}` : null;
  }
  return status === 0 || status >= (client ? 400 : 500) ? '' : null;
}
