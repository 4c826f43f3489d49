// The HTTP requests of one accepted connection: plans each and sets it going, or answers it here. Which
// plan is right is the planner's business.

import type { RequestHead, ServerSession, ServerStream, StreamListener } from '../codec/session.ts';
import type { Link } from '../net/link.ts';
import { SessionConnection, type ConnectionOwner } from '../net/session-connection.ts';
import type { ExchangeContext, Ongoing } from './context.ts';
import { Exchange } from './exchange.ts';
import { answerHere, Discard, type AnsweredRequest } from './answer-here.ts';
import { logUnreadable } from './connection-log.ts';
import { DelayedRequest, type Resumed } from './delayed.ts';
import { planOverLimit } from './limits.ts';
import type { LocalReply } from './local-reply.ts';
import { startMirrors } from './mirror.ts';
import type { AnsweredPlan, DelayedPlan, ForwardPlan, Plan } from './plan.ts';

export interface DownstreamOwner {
  /** Pure but for the random numbers it takes: called once per request. */
  plan(head: RequestHead): Plan;
  /** Percent of the traces that begin with this connection's requests; null: as all. */
  traceSampling(): number | null;
  onClosed(downstream: Downstream): void;
}

export class Downstream implements ConnectionOwner {
  readonly link: Link;
  readonly session: ServerSession;
  private readonly context: ExchangeContext;
  private readonly owner: DownstreamOwner;
  private readonly driver: SessionConnection;

  constructor(
    link: Link,
    session: ServerSession,
    context: ExchangeContext,
    owner: DownstreamOwner,
  ) {
    this.link = link;
    this.session = session;
    this.context = context;
    this.owner = owner;
    session.onRequest = (stream, head, end) => this.onRequest(stream, head, end);
    this.driver = new SessionConnection(link, session, context.deps.io, this);
  }

  start(first: Buffer | null): void {
    this.driver.start(first);
  }

  drain(leaving?: boolean): void {
    this.session.drain(leaving);
  }

  destroy(): void {
    this.driver.destroy();
  }

  /** Under way on it. */
  get requests(): number {
    let count = 0;
    for (let one = this.context.ongoing; one !== null; one = one.earlier) count += 1;
    return count;
  }

  get protocol(): string {
    return this.context.protocol;
  }

  /** Asks for each request under way whether it may go on; returns how many there were. */
  judgeAnew(judge: (request: RequestHead) => LocalReply | null): number {
    const all: Ongoing[] = [];
    for (let one = this.context.ongoing; one !== null; one = one.earlier) all.push(one);
    for (const one of all) {
      const refusal = judge(one.request);
      if (refusal !== null) one.refuse(refusal);
    }
    return all.length;
  }

  onServed(): void {
    // Nothing waits for room on a server connection.
  }

  onClosed(): void {
    const { refusal } = this.session;
    if (refusal !== null) logUnreadable(this.context, refusal);
    this.owner.onClosed(this);
  }

  private onRequest(
    stream: ServerStream,
    head: RequestHead,
    end: boolean,
  ): StreamListener<RequestHead> {
    const planned = this.owner.plan(head);
    const plan = planned.type === 'forward' ? (planOverLimit(planned) ?? planned) : planned;
    switch (plan.type) {
      case 'forward': {
        this.trace(plan);
        const exchange = new Exchange(this.context, plan, stream, end);
        exchange.start();
        return plan.mirrors === null ? exchange : startMirrors(this.context, plan, exchange, end);
      }
      case 'unprocessed':
        stream.reset('refused');
        return new Discard(stream);
      case 'delay': {
        const resume = (resumed: Resumed, next: DelayedPlan['next']) => this.resume(resumed, next);
        const delayed = new DelayedRequest(this.context, plan, { stream, head, end }, resume);
        delayed.start();
        return delayed;
      }
      default:
        this.answer({ stream, head, latencyMs: 0 }, plan);
        return new Discard(stream);
    }
  }

  private resume(resumed: Resumed, planned: DelayedPlan['next']): StreamListener<RequestHead> {
    const { stream, head, end, startedMs, note } = resumed;
    const next = planned.type === 'forward' ? (planOverLimit(planned) ?? planned) : planned;
    const { context } = this;
    if (next.type === 'forward') {
      this.trace(next);
      const exchange = new Exchange(context, next, stream, end);
      exchange.heldSince(startedMs, note);
      exchange.start();
      return startMirrors(context, next, exchange, end);
    }
    const latencyMs = context.deps.io.clock.nowMs() - startedMs;
    this.answer({ stream, head, latencyMs }, next);
    return new Discard(stream);
  }

  private answer(request: AnsweredRequest, plan: AnsweredPlan): void {
    const { tracer } = this.context.deps;
    const trace = tracer.on ? tracer.begin(request.head.fields, this.owner.traceSampling()) : null;
    answerHere(this.context, request, plan, trace);
  }

  private trace(plan: ForwardPlan): void {
    const { tracer } = this.context.deps;
    if (tracer.on) plan.trace = tracer.begin(plan.head.fields, this.owner.traceSampling());
  }
}
