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
import { fieldLine } from '../policy/route-match.ts';
import type { StreamTaker } from '../pool/peer.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { CollectorAnswer, later, type Protocol } from './answer.ts';
import type { ExportResult } from './exporter.ts';

export interface CollectorTarget {
  endpoint: EndpointHandle;
  protocol: Protocol;
  /** `:authority` or Host. */
  authority: string;
  /** Of OTLP over HTTP. */
  path: string;
  /** Of a trace that is not recorded: sending spans makes none. */
  traceparent: string;
}

export const exportTimeoutMs = 10_000;
export const grpcPath = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

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
  private readonly answer: CollectorAnswer;
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
    this.answer = new CollectorAnswer(target.protocol);
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
    const told = overMtls ? withMeshFields(head, this.target.protocol === 'grpc') : head;
    const stream = connection.open(told, false, this);
    this.stream = stream;
    if (!this.over) stream.sendData(this.body, true);
  }

  onUnavailable(): void {
    this.end(later);
  }

  onHead(head: ResponseHead, end: boolean): void {
    if (head.status < 200) return;
    this.answer.status = head.status;
    this.answer.retryAfter = fieldLine(head.fields, 'retry-after') ?? '';
    if (end) this.answer.grpcStatus = grpcStatusOf(head.fields);
    if (end) this.onAnswered();
  }

  onData(chunk: Buffer, end: boolean): void {
    this.answer.add(chunk);
    this.stream?.consumed(chunk.length);
    if (end) this.onAnswered();
  }

  onTrailers(fields: Fields): void {
    this.answer.grpcStatus = grpcStatusOf(fields);
    this.onAnswered();
  }

  onReset(): void {
    this.end(later);
  }

  onDrained(): void {
    // All of it was handed over at once.
  }

  onDeadline(): void {
    if (this.stream === null) this.pool.cancel(this.target.endpoint, this.plain, this);
    else this.stream.reset('cancelled');
    this.end(later);
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
    this.end(this.answer.result(this.io.clock.wallTimeMs()));
  }

  private end(result: ExportResult): void {
    if (this.over) return;
    this.over = true;
    this.io.wheel.cancel(this);
    this.done(result);
  }
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
