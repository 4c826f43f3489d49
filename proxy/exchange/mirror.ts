// Copies of requests for mirrors: each is sent beside its original and its answer is thrown away. The original never
// waits for one: a copy that does not keep up, or comes when there are too many, is given up.

import type {
  ClientStream,
  Fields,
  RequestHead,
  ResetReason,
  ResponseHead,
  StreamListener,
} from '../codec/session.ts';
import { Deadline } from '../net/timer-wheel.ts';
import { answerCame, awaitAnswer, chooseEndpoint, forgetAnswer } from '../policy/load.ts';
import { joinLoad, leaveLoad, observe, observeFailure } from '../policy/load.ts';
import type { StreamTaker } from '../pool/peer.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { noGrpcStatus, type MirrorResult } from '../telemetry/counters.ts';
import type { ExchangeContext } from './context.ts';
import { grpcStatusOf } from './grpc-status.ts';
import { isBad } from './judge-endpoint.ts';
import { headForSidecar } from './head-for-sidecar.ts';
import type { ForwardPlan } from './plan.ts';
import { asksForTunnel } from './tunnel-heads.ts';

/** Tells the mirror's app that nobody waits for its answer, and whose copy it has: the destination's host. */
const mirrorField = 'x-tsmesh-mirror-of';

/** Copies at a time, of one thread. */
const mostCopies = 1024;
/** What a copy may lag behind, and all of them together; so little nobody counts. */
const mostLagBytes = 1024 * 1024;
const mostLagOfAllBytes = 8 * 1024 * 1024;
const littleLagBytes = 16 * 1024;
/** From the whole request on, where the route has no timeout. */
const patienceMs = 15_000;

/** The copies that are under way. */
export interface MirrorGate {
  readonly copies: Set<MirrorCopy>;
}

export function createMirrorGate(): MirrorGate {
  return { copies: new Set() };
}

/** Sends the copies; returns who hears the rest of the request. */
export function startMirrors(
  context: ExchangeContext,
  plan: ForwardPlan,
  original: StreamListener<RequestHead>,
  end: boolean,
): StreamListener<RequestHead> {
  if (plan.mirrors === null || asksForTunnel(plan.head)) return original;
  const copies: MirrorCopy[] = [];
  for (const name of plan.mirrors) {
    const copy = startCopy(context, plan, name, end);
    if (copy !== null) copies.push(copy);
  }
  return end ? original : new MirroredRequest(original, copies);
}

function startCopy(
  context: ExchangeContext,
  plan: ForwardPlan,
  name: string,
  end: boolean,
): MirrorCopy | null {
  const { io, store, random, mirrors } = context.deps;
  if (mirrors.copies.size >= mostCopies) {
    context.series.mirror('dropped');
    return null;
  }
  const endpoints = store.snapshot().endpoints.get(name)?.endpoints ?? [];
  const endpoint = chooseEndpoint(endpoints, [], random, io.clock.nowMs());
  if (endpoint === null) {
    context.series.mirror('failed');
    return null;
  }
  const copy = new MirrorCopy(context, plan, endpoint);
  copy.start(end);
  return copy;
}

/** Hands a request to its exchange and to its copies. */
class MirroredRequest implements StreamListener<RequestHead> {
  private readonly original: StreamListener<RequestHead>;
  private readonly copies: readonly MirrorCopy[];

  constructor(original: StreamListener<RequestHead>, copies: readonly MirrorCopy[]) {
    this.original = original;
    this.copies = copies;
  }

  onHead(): void {
    // Came with the request.
  }

  onData(chunk: Buffer, end: boolean): void {
    for (const copy of this.copies) copy.take(chunk, end);
    this.original.onData(chunk, end);
  }

  onTrailers(fields: Fields, neverIndexed: readonly string[] | null = null): void {
    // Before the exchange changes them.
    for (const copy of this.copies) copy.takeTrailers([...fields], neverIndexed);
    this.original.onTrailers(fields, neverIndexed);
  }

  /** The client left: copies of a whole request go on. */
  onReset(reason: ResetReason): void {
    for (const copy of this.copies) copy.onClientLeft();
    this.original.onReset(reason);
  }

  onDrained(): void {
    this.original.onDrained();
  }
}

export class MirrorCopy extends Deadline implements StreamListener<ResponseHead>, StreamTaker {
  private readonly context: ExchangeContext;
  private readonly plan: ForwardPlan;
  private readonly endpoint: EndpointHandle;
  private stream: ClientStream | null = null;
  /** Until there is a stream. */
  private held: Buffer[] = [];
  private heldBytes = 0;
  private trailers: Fields | null = null;
  private trailersNever: readonly string[] | null = null;
  /** The request was received to its end. */
  private ended = false;
  private endedWithHead = false;
  private over = false;
  /** Its head did not come yet. */
  private awaited = false;
  private startedMs = 0;

  constructor(context: ExchangeContext, plan: ForwardPlan, endpoint: EndpointHandle) {
    super();
    this.context = context;
    this.plan = plan;
    this.endpoint = endpoint;
  }

  start(end: boolean): void {
    const { deps } = this.context;
    deps.mirrors.copies.add(this);
    this.startedMs = deps.io.clock.nowMs();
    joinLoad(this.endpoint.load, this.startedMs);
    this.endedWithHead = end;
    if (end) this.onRequestEnd();
    deps.pool.request(this.endpoint, this.plan.plain, this);
  }

  /** What of the request is still to be sent. */
  get lagBytes(): number {
    return this.heldBytes + (this.stream?.queuedBytes ?? 0);
  }

  take(chunk: Buffer, end: boolean): void {
    if (this.over) return;
    if (end) this.onRequestEnd();
    if (this.stream === null) {
      this.held.push(chunk);
      this.heldBytes += chunk.length;
    } else this.stream.sendData(chunk, end);
    if (this.lags()) this.finish('dropped');
  }

  takeTrailers(fields: Fields, neverIndexed: readonly string[] | null): void {
    if (this.over) return;
    this.trailers = fields;
    this.trailersNever = neverIndexed;
    this.onRequestEnd();
    this.stream?.sendTrailers(fields, neverIndexed);
  }

  onClientLeft(): void {
    if (!this.ended) this.finish('dropped');
  }

  // From the pool.

  onConnection(connection: PooledConnection): void {
    const { plan } = this;
    const marked = markedHead(plan.head, this.context.destination);
    const overMtls = connection.link.peer !== null;
    const head = overMtls
      ? headForSidecar(this.context, connection, marked, plan.tellHttp2)
      : marked;
    this.awaited = true;
    awaitAnswer(this.endpoint.load, this.context.deps.io.clock.nowMs());
    const stream = connection.open(head, this.endedWithHead, this);
    // A head that is too large for its mirror is not sent.
    if (this.over) return;
    this.stream = stream;
    const { held } = this;
    this.held = [];
    this.heldBytes = 0;
    const bodyEnds = this.ended && this.trailers === null;
    for (const [index, chunk] of held.entries())
      stream.sendData(chunk, bodyEnds && index === held.length - 1);
    if (this.trailers !== null) stream.sendTrailers(this.trailers, this.trailersNever);
  }

  onUnavailable(): void {
    this.finish('failed');
  }

  // From the mirror.

  onHead(head: ResponseHead, end: boolean): void {
    if (this.over || head.status < 200) return;
    const nowMs = this.context.deps.io.clock.nowMs();
    if (this.awaited) answerCame(this.endpoint.load, nowMs);
    this.awaited = false;
    this.learn(head, end, nowMs);
    if (end) this.finish('answered');
  }

  onData(chunk: Buffer, end: boolean): void {
    this.stream?.consumed(chunk.length);
    if (end) this.finish('answered');
  }

  onTrailers(): void {
    this.finish('answered');
  }

  onReset(reason: ResetReason): void {
    // Handed back by a pod that goes, or too large a head: nothing failed there.
    if (reason !== 'refused' && reason !== 'too-large') this.blame();
    this.finish('failed');
  }

  onDrained(): void {
    // What is to be sent was handed over when it came.
  }

  onDeadline(): void {
    this.blame();
    this.finish('failed');
  }

  private onRequestEnd(): void {
    this.ended = true;
    const { io } = this.context.deps;
    io.wheel.schedule(this, io.clock.nowMs() + (this.plan.timeoutMs ?? patienceMs));
  }

  private lags(): boolean {
    const lag = this.lagBytes;
    if (lag <= littleLagBytes) return false;
    if (lag > mostLagBytes) return true;
    let sum = 0;
    for (const copy of this.context.deps.mirrors.copies) sum += copy.lagBytes;
    return sum > mostLagOfAllBytes;
  }

  private learn(head: ResponseHead, end: boolean, nowMs: number): void {
    const { endpoint, startedMs, plan } = this;
    const grpcStatus = end && plan.grpc ? grpcStatusOf(head.fields) : noGrpcStatus;
    if (isBad(head.status, grpcStatus))
      observeFailure(endpoint.load, nowMs - startedMs, nowMs, true);
    else observe(endpoint.load, nowMs - startedMs, nowMs);
  }

  private blame(): void {
    if (this.over) return;
    const nowMs = this.context.deps.io.clock.nowMs();
    observeFailure(this.endpoint.load, nowMs - this.startedMs, nowMs, false);
  }

  private finish(result: MirrorResult): void {
    if (this.over) return;
    this.over = true;
    const { deps, series } = this.context;
    deps.mirrors.copies.delete(this);
    leaveLoad(this.endpoint.load);
    if (this.awaited) forgetAnswer(this.endpoint.load);
    this.awaited = false;
    deps.io.wheel.cancel(this);
    series.mirror(result);
    this.held = [];
    this.heldBytes = 0;
    if (this.stream === null) deps.pool.cancel(this.endpoint, this.plan.plain, this);
    else if (result !== 'answered' || !this.ended) this.stream.reset('cancelled');
  }
}

/** The copy says of itself that it is one; a field of that name that came with the request is not believed. */
function markedHead(head: RequestHead, host: string): RequestHead {
  const fields: Fields = [];
  for (let i = 0; i < head.fields.length; i += 2)
    if (head.fields[i] !== mirrorField) fields.push(head.fields[i]!, head.fields[i + 1]!);
  fields.push(mirrorField, host);
  return { ...head, fields };
}
