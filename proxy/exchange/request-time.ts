// How long a request may take: the time of its route, that of its caller (grpc-timeout), and how long nothing may move.
// One entry in the wheel serves all three; what moves only notes when. What happens at the end is the exchange's.

import type { Io } from '../net/link.ts';
import { Deadline } from '../net/timer-wheel.ts';
import { grpcTimeoutMs, lowerGrpcTimeout } from './grpc-timeout.ts';
import type { ForwardPlan } from './plan.ts';

export type TimeUp = 'deadline-passed' | 'request-timeout' | 'idle-timeout';

const never = Number.POSITIVE_INFINITY;

export abstract class RequestTime extends Deadline {
  protected readonly plan: ForwardPlan;
  protected startedMs: number;
  private readonly io: Io;
  private routeEndsMs = never;
  private callerEndsMs = never;
  private activeMs: number;

  constructor(io: Io, plan: ForwardPlan) {
    super();
    this.io = io;
    this.plan = plan;
    this.startedMs = io.clock.nowMs();
    this.activeMs = this.startedMs;
  }

  /** `detail` says which limit it was. */
  protected abstract onTimeUp(code: TimeUp, detail: string): void;

  /** False: its caller waits no longer already. `whole`: nothing of it is still to come. */
  protected startTime(whole: boolean): boolean {
    const { plan } = this;
    if (plan.grpc) this.heedCaller();
    if (whole) this.startRouteTime();
    else if (plan.idleTimeoutMs !== null || this.callerEndsMs !== never) this.watch();
    // A fault may have held it back meanwhile.
    return this.callerEndsMs === never || this.callerEndsMs > this.io.clock.nowMs();
  }

  protected startRouteTime(): void {
    const { timeoutMs } = this.plan;
    if (timeoutMs !== null) this.routeEndsMs = this.io.clock.nowMs() + timeoutMs;
    if (this.nextEndMs !== never) this.watch();
  }

  /** It became a tunnel: that lasts as long as something moves. */
  protected endRouteTime(): void {
    this.routeEndsMs = never;
  }

  protected stopTime(): void {
    this.io.wheel.cancel(this);
  }

  protected noteActivity(): void {
    if (this.plan.idleTimeoutMs !== null) this.activeMs = this.io.clock.nowMs();
  }

  /** Nothing is begun that would begin behind it. */
  protected get endsAtMs(): number {
    return Math.min(this.routeEndsMs, this.callerEndsMs);
  }

  /** The next hop gets what is left of the caller's time, or of the route's where that is less. */
  protected tellTimeLeft(): void {
    if (this.callerEndsMs === never) return;
    const { plan, startedMs, callerEndsMs } = this;
    const nowMs = this.io.clock.nowMs();
    // Until the request is whole, the time of its route has not begun.
    const routeMs = plan.timeoutMs === null ? never : nowMs + plan.timeoutMs;
    const endsMs = Math.min(callerEndsMs, this.routeEndsMs, routeMs);
    lowerGrpcTimeout(plan.head.fields, callerEndsMs - startedMs, endsMs - nowMs);
  }

  onDeadline(nowMs: number): void {
    if (nowMs < this.nextEndMs) {
      this.watch();
      return;
    }
    const { route, timeoutMs, idleTimeoutMs } = this.plan;
    if (nowMs >= this.callerEndsMs) this.onTimeUp('deadline-passed', '');
    else if (nowMs >= this.routeEndsMs)
      this.onTimeUp('request-timeout', `${route}: ${timeoutMs} ms`);
    else this.onTimeUp('idle-timeout', `${route}: ${idleTimeoutMs} ms`);
  }

  /** A gRPC caller says how long it waits: it is told at the end of that, whatever the app does. */
  private heedCaller(): void {
    const timeoutMs = grpcTimeoutMs(this.plan.head.fields);
    if (timeoutMs !== null) this.callerEndsMs = this.startedMs + timeoutMs;
  }

  private get nextEndMs(): number {
    const { idleTimeoutMs } = this.plan;
    const idleEndsMs = idleTimeoutMs === null ? never : this.activeMs + idleTimeoutMs;
    return Math.min(this.routeEndsMs, this.callerEndsMs, idleEndsMs);
  }

  /** Lazy: an end that moved back is looked at again when it would have come. */
  private watch(): void {
    const dueMs = this.nextEndMs;
    if (dueMs !== never && (this.slot < 0 || dueMs < this.dueMs))
      this.io.wheel.schedule(this, dueMs);
  }
}
