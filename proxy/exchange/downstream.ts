// The HTTP requests of one accepted connection: plans each and sets it going, or answers it here. Which
// plan is right is the planner's business.

import { headers } from '../api/constants.ts';
import type { RequestHead, ServerSession, ServerStream, StreamListener } from '../codec/session.ts';
import { errorSpec } from '../errors.ts';
import type { Link } from '../net/link.ts';
import { SessionConnection, type ConnectionOwner } from '../net/session-connection.ts';
import { fieldLine } from '../policy/route-match.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import type { ExchangeContext, Ongoing } from './context.ts';
import { Exchange } from './exchange.ts';
import { sendLocalReply, sendRedirect, type LocalReply } from './local-reply.ts';
import type { Plan } from './plan.ts';
import { countError, logUnreadable } from './connection-log.ts';
import { logRequest, notCarried } from './request-log.ts';

type AnsweredPlan = Exclude<Plan, { type: 'forward' | 'unprocessed' }>;

export interface DownstreamOwner {
  /** Pure but for the random numbers it takes: called once per request. */
  plan(head: RequestHead): Plan;
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

  drain(): void {
    this.session.drain();
  }

  destroy(): void {
    this.driver.destroy();
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
    const plan = this.owner.plan(head);
    if (plan.type === 'forward') {
      const exchange = new Exchange(this.context, plan, stream, end);
      exchange.start();
      return exchange;
    }
    if (plan.type === 'unprocessed') stream.reset('refused');
    else this.answer(stream, head, plan);
    return new Discard(stream);
  }

  private answer(stream: ServerStream, head: RequestHead, plan: AnsweredPlan): void {
    if (plan.type === 'redirect') {
      sendRedirect(stream, plan.status, plan.location);
      this.record(head, plan, plan.status);
      return;
    }
    sendLocalReply(stream, head, plan.reply, plan.grpc);
    this.record(head, plan, plan.grpc ? 200 : errorSpec(plan.reply.code).httpStatus);
  }

  private record(head: RequestHead, plan: AnsweredPlan, status: number): void {
    const { series, deps } = this.context;
    const refusal = plan.type === 'refuse' ? plan : null;
    const grpcStatus =
      refusal?.grpc === true ? errorSpec(refusal.reply.code).grpcStatus : noGrpcStatus;
    const mtls = this.link.peer !== null;
    series.request({ status, grpcStatus, latencyMs: 0, mtls });
    if (refusal !== null) countError(series, refusal.reply);
    if (!deps.accessLog.wants(refusal !== null)) return;
    const error = refusal?.reply ?? null;
    const request = { head, route: plan.route, status, mtls, error };
    const requestId = fieldLine(head.fields, headers.requestId) ?? '';
    logRequest(this.context, request, { ...notCarried, grpcStatus, requestId });
  }
}

/** The rest of a request that was answered here. */
class Discard implements StreamListener<RequestHead> {
  private readonly stream: ServerStream;

  constructor(stream: ServerStream) {
    this.stream = stream;
  }

  onHead(): void {
    // Came with the request.
  }

  onData(chunk: Buffer): void {
    this.stream.consumed(chunk.length);
  }

  onTrailers(): void {
    // Nobody reads them.
  }

  onReset(): void {
    // The answer was given.
  }

  onDrained(): void {
    // The answer was short.
  }
}
