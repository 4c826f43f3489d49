// One request and its answer: joins the stream of the caller with that of an endpoint, with back-pressure
// both ways, timeouts and further attempts. What to do was planned before; what counts as worth another
// attempt is decided by policy/retry.

import { alpn } from '../api/constants.ts';
import type {
  Fields,
  RequestHead,
  ResetReason,
  ResponseHead,
  ServerStream,
  StreamListener,
} from '../codec/session.ts';
import { errorSpec } from '../errors.ts';
import type { LimitName } from '../policy/limits.ts';
import { payBack } from '../policy/retry-budget.ts';
import { isRetriable, type Outcome } from '../policy/retry.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import {
  asPassed,
  denialByPeer,
  mayDeny,
  mayTell,
  saysDenied,
  withoutMarks,
} from './answer-head.ts';
import { countAwaited, enterCounts, leaveCounts } from './attempt-counts.ts';
import { Attempt, type AttemptOwner, type Failure } from './attempt.ts';
import { logMismatch } from './connection-log.ts';
import { addOngoing, removeOngoing, type ExchangeContext, type Ongoing } from './context.ts';
import { causeOfFailure, causeOfReset } from './causes.ts';
import {
  blameEndpoint,
  hearEnd,
  hearEndpoint,
  isItsFault,
  keepsWaiting,
} from './judge-endpoint.ts';
import { endpointFor, limitReply } from './limits.ts';
import { grpcStatusOf, mayEndWithStatus } from './grpc-status.ts';
import { grpcTrailers, sendLocalReply, withCors } from './local-reply.ts';
import type { LocalReply } from './local-reply.ts';
import { headForSidecar } from './head-for-sidecar.ts';
import { stripMeshFields, tellsUnreached, withDeclined } from './mesh-fields.ts';
import { withoutDeclined } from './mesh-fields.ts';
import type { ForwardPlan } from './plan.ts';
import { recordExchange } from './record.ts';
import { noneTried, Repeats, type NoRepeat, type Repeat } from './repeats.ts';
import { RequestBody } from './request-body.ts';
import { RequestTime, type TimeUp } from './request-time.ts';
import { asksForTunnel, declinesUpgrade, isTunnel } from './tunnel-heads.ts';

const first: Repeat = { byPolicy: false, pauseMs: 0, fresh: false, moves: false };

export class Exchange
  extends RequestTime
  implements StreamListener<RequestHead>, AttemptOwner, Ongoing
{
  earlier: Ongoing | null = null;
  later: Ongoing | null = null;
  private readonly context: ExchangeContext;
  private readonly stream: ServerStream;
  private readonly body: RequestBody;
  private attempt: Attempt | null = null;
  private attempts = 0;
  /** Null: nothing was tried again yet. */
  private repeats: Repeats | null = null;
  /** The client was told to send its body. */
  private continued = false;
  /** The final head went to the client. */
  private answered = false;
  private answerHead: ResponseHead | null = null;
  /** The answer is complete, or will never be: counted and logged. */
  private finished = false;
  private status = 0;
  private grpcStatus = noGrpcStatus;
  private receivedBytes = 0;
  /** For the log; -1: not yet. */
  private answeredMs = -1;
  private connectMs = -1;
  private endpoint: EndpointHandle | null = null;
  private sentOverMtls = false;
  /** What the peer's sidecar said in refusing it. */
  private deniedByPeer: LocalReply | null = null;
  /** For the log of what did not fail. */
  private note: LocalReply | null = null;

  constructor(context: ExchangeContext, plan: ForwardPlan, stream: ServerStream, end: boolean) {
    super(context.deps.io, plan);
    this.context = context;
    this.stream = stream;
    this.body = new RequestBody(stream, end);
  }

  /** Before the start: a policy held it back. Its route's timeout begins after that. */
  heldSince(startedMs: number, note: LocalReply): void {
    this.startedMs = startedMs;
    this.note = note;
  }

  start(): void {
    this.plan.budget.inFlight += 1;
    this.context.active.requests += 1;
    addOngoing(this.context, this);
    if (this.startTime(this.isAllThereIs)) this.tryNext(first);
    else this.giveUp({ code: 'deadline-passed', detail: '' }, 'timeout');
  }

  // From the client.

  onHead(): void {
    // A server stream has given its head already.
  }

  onData(chunk: Buffer, end: boolean): void {
    this.noteActivity();
    this.body.take(chunk, end);
    if (end) this.onRequestEnd();
  }

  onTrailers(fields: Fields, neverIndexed: readonly string[] | null = null): void {
    stripMeshFields(fields, this.context.direction === 'inbound');
    this.body.takeTrailers(fields, neverIndexed);
    this.onRequestEnd();
  }

  onReset(reason: ResetReason): void {
    this.dropAttempt(reason === 'timeout' ? 'timeout' : 'cancelled');
    this.body.discard();
    if (this.finished) return;
    this.status = 0;
    this.finish(causeOfReset(this.context, reason));
  }

  // From whoever judges requests under way anew.

  get request(): RequestHead {
    return this.plan.head;
  }

  refuse(reply: LocalReply): void {
    this.dropAttempt('cancelled');
    this.giveUp(reply, this.isForPeer ? 'insecure' : 'cancelled');
  }

  onDrained(): void {
    this.attempt?.credit();
  }

  protected onTimeUp(code: TimeUp, detail: string): void {
    const { attempt, context, plan } = this;
    // What the caller's own deadline ended says nothing about the endpoint, nor does a client that stopped sending.
    const byCaller =
      code === 'deadline-passed' || (code === 'idle-timeout' && this.awaitsClient(attempt));
    if (attempt !== null && !byCaller && keepsWaiting(context, plan, attempt))
      blameEndpoint(context, plan, attempt);
    this.dropAttempt('cancelled');
    this.giveUp({ code, detail }, 'timeout');
  }

  // From the attempt.

  onPauseOver(attempt: Attempt): void {
    this.run(attempt);
  }

  onConnection(attempt: Attempt): void {
    const { connection } = attempt;
    if (connection === null) return;
    const { plan, body } = this;
    this.sentOverMtls = connection.link.peer !== null;
    this.connectMs = this.context.deps.io.clock.nowMs() - attempt.startedMs;
    attempt.waitedMs = this.connectMs;
    this.tellTimeLeft();
    const head = this.sentOverMtls
      ? headForSidecar(this.context, connection, plan.head, plan.tellHttp2)
      : plan.head;
    attempt.stream = connection.open(head, body.endedWithHead, attempt);
    if (attempt.over) return;
    body.attach(attempt.stream);
    this.startTryTimeout(attempt);
  }

  onInterim(head: ResponseHead): void {
    this.noteActivity();
    if (head.status === 100) {
      // The app of a further try asks for a body that is here already.
      if (this.continued) return;
      this.continued = true;
    }
    if (!this.fromPeer) stripMeshFields(head.fields, false);
    this.stream.sendHead(head, false);
  }

  onAnswer(attempt: Attempt, head: ResponseHead, end: boolean): void {
    const { context, plan } = this;
    this.noteActivity();
    if (attempt.slot >= 0) context.deps.io.wheel.cancel(attempt);
    if (end && plan.grpc) this.grpcStatus = grpcStatusOf(head.fields);
    const whole = end || !plan.grpc;
    hearEndpoint(context, plan, attempt, {
      status: head.status,
      grpcStatus: this.grpcStatus,
      whole,
    });
    if (this.isRepeatedInstead(attempt, head, end)) return;
    const maybeDeclined = this.plan.head.upgrade !== null && this.sentOverMtls;
    this.passHead(maybeDeclined ? withoutDeclined(head) : head, end);
  }

  onAnswerData(attempt: Attempt, chunk: Buffer, end: boolean): void {
    this.noteActivity();
    this.receivedBytes += chunk.length;
    const room = this.stream.sendData(chunk, end);
    if (room) attempt.stream?.consumed(chunk.length);
    else attempt.owedBytes += chunk.length;
    if (end) this.onAnswerEnd();
  }

  onAnswerTrailers(fields: Fields, neverIndexed: readonly string[] | null): void {
    if (this.plan.grpc) {
      this.grpcStatus = grpcStatusOf(fields);
      const { context, plan, status, grpcStatus } = this;
      if (this.attempt !== null) hearEnd(context, plan, this.attempt, { status, grpcStatus });
    }
    if (!this.fromPeer) stripMeshFields(fields, false);
    else if (saysDenied(this.grpcStatus)) this.deniedByPeer ??= denialByPeer(fields);
    this.stream.sendTrailers(fields, neverIndexed);
    this.onAnswerEnd();
  }

  onFailed(attempt: Attempt, failure: Failure): void {
    const itsFault = isItsFault(this.context, this.plan, attempt, failure);
    this.dropAttempt('cancelled');
    if (this.finished) {
      // The answer is complete; the upstream wants no more of the request.
      this.body.discard();
      return;
    }
    const { type } = failure.outcome;
    const { context, plan, startedMs } = this;
    const code = causeOfFailure({ context, plan, startedMs }, attempt, failure);
    if (type === 'limited') {
      this.giveUp(limitReply(plan.use!, failure.detail as LimitName), 'internal');
      return;
    }
    // What the caller's own deadline ended says nothing about the endpoint.
    if (itsFault && code !== 'deadline-passed') blameEndpoint(context, plan, attempt);
    const repeat = this.answered ? 'none' : this.repeatAfter(failure.outcome);
    if (typeof repeat !== 'string') {
      // Another endpoint makes up for it, but nobody else would tell that an address is not who it should be.
      if (failure.code === 'identity-mismatch') logMismatch(this.context, failure.detail);
      this.tryAgain(repeat, attempt);
      return;
    }
    this.noteNotRepeated(repeat);
    const detail = failure.code === 'per-try-timeout' ? this.tryTimeoutText() : failure.detail;
    // A client that has half an answer is told CANCEL only where the app said so itself.
    this.giveUp({ code, detail }, code === 'upstream-cancelled' ? 'cancelled' : 'internal');
  }

  onUpstreamDrained(): void {
    this.body.onDrained();
  }

  // Attempts.

  private tryNext(repeat: Repeat): void {
    const { pauseMs } = repeat;
    const { plan, context } = this;
    const { io } = context.deps;
    const nowMs = io.clock.nowMs();
    // A further attempt goes by what is known now: endpoints may have come and gone since.
    const endpoints = this.attempts === 0 ? plan.endpoints : this.endpointsNow();
    const tried = this.repeats?.tried ?? noneTried;
    const endpoint = endpointFor(context, { plan, endpoints, tried }, nowMs);
    if ('code' in endpoint) {
      this.giveUp(endpoint, 'internal');
      return;
    }
    const attempt = new Attempt(this, endpoint, repeat);
    attempt.use = plan.use;
    attempt.connectTimeoutMs = plan.connectTimeoutMs;
    this.attempt = attempt;
    this.endpoint = endpoint;
    enterCounts(attempt, plan.budget, nowMs);
    if (pauseMs === 0) {
      this.run(attempt);
      return;
    }
    attempt.pause();
    io.wheel.schedule(attempt, nowMs + pauseMs);
  }

  private endpointsNow(): readonly EndpointHandle[] {
    const { plan, context } = this;
    const set = context.deps.store.snapshot().endpoints.get(plan.endpointsName);
    return set?.endpoints ?? plan.endpoints;
  }

  private run(attempt: Attempt): void {
    const { deps } = this.context;
    this.attempts += 1;
    attempt.startedMs = deps.io.clock.nowMs();
    this.connectMs = -1;
    countAwaited(attempt);
    deps.pool.request(attempt.endpoint, this.plan.plain, attempt);
    if (attempt.connection === null && !attempt.over) this.boundWait(attempt);
  }

  /** Ends the interest in the attempt; `reason` is what its peer hears if it is still open. */
  private dropAttempt(reason: ResetReason): void {
    this.releaseAttempt()?.abandon(reason);
  }

  private releaseAttempt(): Attempt | null {
    const { attempt, plan, context } = this;
    if (attempt === null) return null;
    this.attempt = null;
    this.body.detach();
    if (attempt.slot >= 0) context.deps.io.wheel.cancel(attempt);
    if (attempt.connection === null)
      context.deps.pool.cancel(attempt.endpoint, plan.plain, attempt);
    if (!this.finished) leaveCounts(attempt, plan.budget);
    return attempt;
  }

  /** An answer that is not the one to give: another attempt is made, and this one read out if it is short. */
  private isRepeatedInstead(attempt: Attempt, head: ResponseHead, end: boolean): boolean {
    const unreached = this.sentOverMtls && mayTell(this.plan, head, end) && tellsUnreached(head);
    if (!unreached && this.plan.retry === null) return false;
    const { grpcStatus } = this;
    const outcome: Outcome = unreached
      ? { type: 'connect', code: 'app-unreachable' }
      : { type: 'answer', status: head.status, grpcStatus };
    const repeat = this.repeatAfter(outcome);
    if (typeof repeat === 'string') {
      this.noteNotRepeated(repeat);
      return false;
    }
    this.grpcStatus = noGrpcStatus;
    this.releaseAttempt();
    if (this.body.ended && !end) attempt.readOut(this.context.deps.io, head.contentLength);
    else attempt.abandon('cancelled');
    this.tryAgain(repeat, attempt);
    return true;
  }

  /** The answer comes from a sidecar that proved who it is: what it says of itself may stay. */
  private get fromPeer(): boolean {
    return this.sentOverMtls;
  }

  /** The next attempt, or why there is none. */
  private repeatAfter(outcome: Outcome): Repeat | NoRepeat {
    const { context, plan, body, repeats } = this;
    if (outcome.type === 'answer' && !isRetriable(plan.retry, outcome)) return 'none';
    this.repeats = repeats ?? new Repeats();
    return this.repeats.next({ context, plan, body, endsAtMs: this.endsAtMs }, outcome);
  }

  private tryAgain(repeat: Repeat, { endpoint }: Attempt): void {
    this.context.series.retry();
    this.repeats?.note(repeat, endpoint);
    this.tryNext(repeat);
  }

  /** A policy asked for another attempt, and there is none. */
  private noteNotRepeated(why: NoRepeat): void {
    if (why === 'none') return;
    const code = why === 'body' ? 'body-not-kept' : 'retry-budget';
    this.context.series.error(code);
    this.note ??= { code, detail: this.plan.route };
  }

  // The answer.

  private passHead(head: ResponseHead, end: boolean): void {
    const { plan } = this;
    this.answered = true;
    this.answeredMs = this.context.deps.io.clock.nowMs();
    this.answerHead = head;
    this.status = head.status;
    this.body.forget();
    if (isTunnel(plan.head, head.status)) this.endRouteTime();
    if (!this.fromPeer) stripMeshFields(head.fields, false);
    else if (mayDeny(head, end, this.grpcStatus)) this.deniedByPeer ??= denialByPeer(head.fields);
    let passed = asPassed(this.context, plan, this.endpoint, head);
    if (declinesUpgrade(plan.head, head.status) && this.isForPeer) passed = withDeclined(passed);
    passed = withoutMarks(plan, passed, end);
    if (!this.stream.sendHead(passed, end)) this.refuseAnswer();
    else if (end) this.onAnswerEnd();
  }

  /** The caller is a sidecar, and not an app whose bytes one carried as opaque. */
  private get isForPeer(): boolean {
    const { direction, peerFacts } = this.context;
    return direction === 'inbound' && peerFacts?.alpn === alpn.http;
  }

  /** The caller said that it takes no head of this size (RFC 9113 §6.5.2): it is told so in a small one. */
  private refuseAnswer(): void {
    this.answered = false;
    this.dropAttempt('cancelled');
    this.giveUp({ code: 'answer-head-not-taken', detail: this.plan.route }, 'internal');
  }

  private onAnswerEnd(): void {
    if (!this.finished) this.finish(this.deniedByPeer);
  }

  private onRequestEnd(): void {
    if (this.finished) return;
    if (!(this.answered && isTunnel(this.plan.head, this.status))) this.startRouteTime();
    if (this.attempt?.stream != null) this.startTryTimeout(this.attempt);
  }

  /** An answer decides what comes behind a head that asks for a tunnel: until then it is all there is. */
  private get isAllThereIs(): boolean {
    return this.body.ended || asksForTunnel(this.plan.head);
  }

  /** What it sent so far has gone on, and more is to come. */
  private awaitsClient(attempt: Attempt | null): boolean {
    if (this.isAllThereIs || attempt === null) return false;
    return attempt.stream !== null && attempt.stream.queuedBytes === 0;
  }

  /** For a connection it waits as its own destination says, whoever else shares the attempt to make one. */
  private boundWait(attempt: Attempt): void {
    attempt.boundWait(this.context.deps.io);
    this.startTryTimeout(attempt);
  }

  /** The time of a try begins with it, or with the end of the request where that is later. */
  private startTryTimeout(attempt: Attempt): void {
    if (this.answered || attempt.over) return;
    const perTryMs = this.plan.retry?.perTryTimeoutMs ?? null;
    attempt.boundTry(this.context.deps.io, this.isAllThereIs ? perTryMs : null);
  }

  private tryTimeoutText(): string {
    return `${this.plan.route}: ${this.plan.retry?.perTryTimeoutMs} ms`;
  }

  /** No (complete) answer will come from an endpoint. */
  private giveUp(reply: LocalReply, reason: ResetReason): void {
    if (this.finished) return;
    const { answered, plan, answerHead } = this;
    const status = plan.grpc && (!answered || mayEndWithStatus(plan.head, answerHead!));
    if (status) this.status = 200;
    else this.status = answered ? 0 : errorSpec(reply.code).httpStatus;
    if (plan.grpc) this.grpcStatus = errorSpec(reply.code).grpcStatus;
    this.finish(reply);
    this.body.discard();
    if (!answered) sendLocalReply(this.stream, plan.head, withCors(reply, plan.cors), plan.grpc);
    else if (status) this.breakOff(reply);
    else this.stream.reset(reason);
  }

  /** Ends a gRPC answer that has begun: what the client got so far stays of use. */
  private breakOff(reply: LocalReply): void {
    this.stream.sendTrailers(grpcTrailers(reply));
    if (!this.body.ended) this.stream.reset('cancelled');
  }

  private finish(error: LocalReply | null): void {
    const { context, plan, status, grpcStatus } = this;
    this.finished = true;
    this.stopTime();
    if (this.attempt !== null) leaveCounts(this.attempt, plan.budget);
    plan.budget.inFlight -= 1;
    if (plan.budget.owed > 0 && error === null && plan.retry !== null)
      if (!isRetriable(plan.retry, { type: 'answer', status, grpcStatus }))
        payBack(plan.budget, plan.retry);
    context.active.requests -= 1;
    removeOngoing(context, this);
    recordExchange(context, plan, {
      status,
      grpcStatus,
      error,
      note: this.note,
      sentOverMtls: this.sentOverMtls,
      startedMs: this.startedMs,
      answeredMs: this.answeredMs,
      connectMs: this.connectMs,
      endpoint: this.endpoint,
      attempts: this.attempts,
      sentBytes: this.body.totalBytes,
      receivedBytes: this.receivedBytes,
    });
  }
}
