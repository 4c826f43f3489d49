// One batch of spans as a request to the collector: OTLP over gRPC or over HTTP (opentelemetry-proto, "OTLP Specification" 1.x), through
// the pool, so with mutual TLS where the collector is in the mesh. It keeps nothing and tries once.

import type {
  ClientStream,
  Fields,
  RequestHead,
  ResponseHead,
  StreamListener,
} from '../codec/session.ts';
import type { StreamSource } from '../exchange/context.ts';
import { grpcStatusOf } from '../exchange/grpc-status.ts';
import { withMeshFields } from '../exchange/mesh-fields.ts';
import type { Io } from '../net/link.ts';
import { Deadline } from '../net/timer-wheel.ts';
import type { StreamTaker } from '../pool/peer.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import type { ExportResult } from './exporter.ts';

export interface CollectorTarget {
  endpoint: EndpointHandle;
  protocol: 'grpc' | 'http';
  /** `:authority` or Host. */
  authority: string;
  /** Of OTLP over HTTP. */
  path: string;
  /** Of a trace that is not recorded: sending spans makes none. */
  traceparent: string;
}

export const exportTimeoutMs = 10_000;
export const grpcPath = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
/** OTLP specification, "Failures" of gRPC: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS; and RESOURCE_EXHAUSTED. */
const laterCodes: ReadonlySet<number> = new Set([1, 4, 8, 10, 11, 14, 15]);
/** "Failures" of HTTP. */
const laterStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export class CollectorRequest
  extends Deadline
  implements StreamTaker, StreamListener<ResponseHead>
{
  private readonly io: Io;
  private readonly pool: StreamSource;
  private readonly target: CollectorTarget;
  private readonly body: Buffer;
  private readonly done: (result: ExportResult) => void;
  private stream: ClientStream | null = null;
  private status = 0;
  private grpcStatus = noGrpcStatus;
  private over = false;

  constructor(
    deps: { io: Io; pool: StreamSource },
    target: CollectorTarget,
    body: Buffer,
    done: (result: ExportResult) => void,
  ) {
    super();
    this.io = deps.io;
    this.pool = deps.pool;
    this.target = target;
    this.body = target.protocol === 'grpc' ? framed(body) : body;
    this.done = done;
  }

  start(): void {
    this.io.wheel.schedule(this, this.io.clock.nowMs() + exportTimeoutMs);
    this.pool.request(this.target.endpoint, this.plain, this);
  }

  onConnection(connection: PooledConnection): void {
    if (this.over) return;
    const head = this.head();
    const overMtls = connection.link.peer !== null;
    const told = overMtls
      ? withMeshFields(head, { http2: this.target.protocol === 'grpc', sourceWorkload: '' })
      : head;
    const stream = connection.open(told, false, this);
    this.stream = stream;
    if (!this.over) stream.sendData(this.body, true);
  }

  onUnavailable(): void {
    this.end('later');
  }

  onHead(head: ResponseHead, end: boolean): void {
    if (head.status < 200) return;
    this.status = head.status;
    if (end) this.grpcStatus = grpcStatusOf(head.fields);
    if (end) this.onAnswered();
  }

  /** What was taken in part is said in the body; nothing can be made of it here. */
  onData(chunk: Buffer, end: boolean): void {
    this.stream?.consumed(chunk.length);
    if (end) this.onAnswered();
  }

  onTrailers(fields: Fields): void {
    this.grpcStatus = grpcStatusOf(fields);
    this.onAnswered();
  }

  onReset(): void {
    this.end('later');
  }

  onDrained(): void {
    // All of it was handed over at once.
  }

  onDeadline(): void {
    if (this.stream === null) this.pool.cancel(this.target.endpoint, this.plain, this);
    else this.stream.reset('cancelled');
    this.end('later');
  }

  private get plain(): 'http1' | 'http2' {
    return this.target.protocol === 'grpc' ? 'http2' : 'http1';
  }

  private head(): RequestHead {
    const { protocol, authority, path } = this.target;
    const grpc = protocol === 'grpc';
    const fields = ['content-type', grpc ? 'application/grpc' : 'application/x-protobuf'];
    fields.push('user-agent', 'tsmesh-proxy', 'traceparent', this.target.traceparent);
    if (grpc) fields.push('te', 'trailers');
    const contentLength = grpc ? null : this.body.length;
    const target = grpc ? grpcPath : path;
    return {
      method: 'POST',
      scheme: 'http',
      authority,
      path: target,
      upgrade: null,
      fields,
      contentLength,
    };
  }

  private onAnswered(): void {
    const { protocol } = this.target;
    this.end(resultOf(protocol, this.status, this.grpcStatus));
  }

  private end(result: ExportResult): void {
    if (this.over) return;
    this.over = true;
    this.io.wheel.cancel(this);
    this.done(result);
  }
}

export function resultOf(
  protocol: CollectorTarget['protocol'],
  status: number,
  grpcStatus: number,
): ExportResult {
  if (protocol === 'grpc' && status === 200) {
    if (grpcStatus === 0) return 'sent';
    return laterCodes.has(grpcStatus) ? 'later' : 'never';
  }
  if (status >= 200 && status < 300) return 'sent';
  return laterStatuses.has(status) ? 'later' : 'never';
}

/** gRPC over HTTP/2, "Length-Prefixed-Message". */
export function framed(body: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** OTLP specification, "OTLP/HTTP Request": `/v1/traces` where nothing else is said. */
export function httpPath({ pathname }: URL): string {
  return pathname === '/' ? '/v1/traces' : pathname;
}
