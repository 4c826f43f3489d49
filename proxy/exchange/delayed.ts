// A request that a policy holds back for a while: keeps what comes of its body uncredited, so that its client stops
// sending at the window, and hands all of it on when the time is over. What happens next was planned before.

import type { Fields, RequestHead, ServerStream, StreamListener } from '../codec/session.ts';
import { Deadline } from '../net/timer-wheel.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import { causeOfReset } from './causes.ts';
import { countAnswered, countError } from './connection-log.ts';
import type { ExchangeContext } from './context.ts';
import type { LocalReply } from './local-reply.ts';
import type { DelayedPlan } from './plan.ts';
import { logRequest, notCarried } from './request-log.ts';
import type { ResetReason } from '../codec/session.ts';

/** What came of a request meanwhile. */
interface Arrival {
  stream: ServerStream;
  head: RequestHead;
  /** There is no body. */
  end: boolean;
}

export interface Resumed extends Arrival {
  startedMs: number;
  /** For the log of what follows. */
  note: LocalReply;
}

/** Sets the request going; returns who hears the rest of it. */
export type Resume = (resumed: Resumed, next: DelayedPlan['next']) => StreamListener<RequestHead>;

export class DelayedRequest extends Deadline implements StreamListener<RequestHead> {
  private readonly context: ExchangeContext;
  private readonly plan: DelayedPlan;
  private readonly arrival: Arrival;
  private readonly resume: Resume;
  private readonly startedMs: number;
  private readonly chunks: Buffer[] = [];
  private ended = false;
  private trailers: { fields: Fields; neverIndexed: readonly string[] | null } | null = null;

  constructor(context: ExchangeContext, plan: DelayedPlan, arrival: Arrival, resume: Resume) {
    super();
    this.context = context;
    this.plan = plan;
    this.arrival = arrival;
    this.resume = resume;
    this.startedMs = context.deps.io.clock.nowMs();
  }

  start(): void {
    const { context, plan } = this;
    context.active.requests += 1;
    context.series.error('delay-injected');
    context.deps.io.wheel.schedule(this, this.startedMs + plan.delayMs);
  }

  onDeadline(): void {
    const { context, plan, arrival } = this;
    context.active.requests -= 1;
    const next = plan.next;
    // Endpoints may have come and gone meanwhile.
    if (next.type === 'forward') {
      const set = context.deps.store.snapshot().endpoints.get(next.endpointsName);
      next.endpoints = set?.endpoints ?? next.endpoints;
    }
    const note = this.note();
    const listener = this.resume({ ...arrival, startedMs: this.startedMs, note }, next);
    arrival.stream.listener = listener;
    this.replay(listener);
  }

  private replay(listener: StreamListener<RequestHead>): void {
    const { chunks, trailers, ended } = this;
    const last = chunks.length - 1;
    for (const [index, chunk] of chunks.entries()) listener.onData(chunk, ended && index === last);
    if (trailers !== null) listener.onTrailers(trailers.fields, trailers.neverIndexed);
  }

  onHead(): void {
    // Came with the request.
  }

  onData(chunk: Buffer, end: boolean): void {
    this.chunks.push(chunk);
    this.ended = end;
  }

  onTrailers(fields: Fields, neverIndexed: readonly string[] | null = null): void {
    this.trailers = { fields, neverIndexed };
  }

  /** The client left: nothing was begun yet. */
  onReset(reason: ResetReason): void {
    const { context, plan } = this;
    const { io, accessLog } = context.deps;
    io.wheel.cancel(this);
    context.active.requests -= 1;
    const error = causeOfReset(context, reason);
    const latencyMs = io.clock.nowMs() - this.startedMs;
    const mtls = context.peer !== '';
    countError(context.series, error);
    const said = { status: 0, grpcStatus: noGrpcStatus, error };
    countAnswered(context, said, { route: plan.next.route, latencyMs });
    if (!accessLog.wants(true)) return;
    const { head } = this.arrival;
    const { route } = plan.next;
    const carried = { ...notCarried, durationMs: latencyMs };
    logRequest(context, { head, route, status: 0, mtls, error }, carried);
  }

  onDrained(): void {
    // Nothing was answered yet.
  }

  private note(): LocalReply {
    const { delayMs, next } = this.plan;
    return { code: 'delay-injected', detail: `${next.route}: ${delayMs} ms` };
  }
}
