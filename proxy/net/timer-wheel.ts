// Timers for requests and connections by the thousand: scheduling and cancelling link and unlink, one
// real timer serves all. Coarse: a deadline may be met one tick late. It knows no meaning of a deadline.

import type { Clock, Timer } from './clock.ts';

/** Base of whatever has one deadline at a time. */
export abstract class Deadline {
  /** Fields of the wheel. */
  dueMs = 0;
  slot = unscheduled;
  before: Deadline | null = null;
  after: Deadline | null = null;

  abstract onDeadline(nowMs: number): void;
}

const unscheduled = -1;
/** Taken out of its slot, about to be called. */
const firing = -2;

/** A request timeout needs no better; a power of two, so that slots are cheap. */
const tickMs = 4;
const slots = 1024;

export class TimerWheel {
  private readonly clock: Clock;
  private readonly heads: (Deadline | null)[] = Array.from({ length: slots }, () => null);
  private timer: Timer | null = null;
  private armedTick = Number.POSITIVE_INFINITY;
  /** The last tick whose slot was emptied. */
  private doneTick: number;
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.doneTick = Math.floor(clock.nowMs() / tickMs) - 1;
  }

  /** Replaces an earlier deadline of the same entry. */
  schedule(entry: Deadline, dueMs: number): void {
    if (entry.slot >= 0) this.unlink(entry);
    if (this.count === 0) this.doneTick = Math.floor(this.clock.nowMs() / tickMs) - 1;
    const tick = Math.max(Math.ceil(dueMs / tickMs), this.doneTick + 1);
    entry.dueMs = dueMs;
    this.link(entry, tick & (slots - 1));
    if (tick < this.armedTick) this.arm(Math.min(tick, this.doneTick + slots));
  }

  cancel(entry: Deadline): void {
    if (entry.slot >= 0) this.unlink(entry);
    entry.slot = unscheduled;
  }

  private link(entry: Deadline, slot: number): void {
    const head = this.heads[slot]!;
    entry.slot = slot;
    entry.before = null;
    entry.after = head;
    if (head !== null) head.before = entry;
    this.heads[slot] = entry;
    this.count += 1;
  }

  private unlink(entry: Deadline): void {
    if (entry.before === null) this.heads[entry.slot] = entry.after;
    else entry.before.after = entry.after;
    if (entry.after !== null) entry.after.before = entry.before;
    entry.before = null;
    entry.after = null;
    this.count -= 1;
  }

  private arm(tick: number): void {
    this.timer?.cancel();
    this.armedTick = tick;
    const delayMs = Math.max(1, tick * tickMs - this.clock.nowMs());
    this.timer = this.clock.after(Math.ceil(delayMs), () => this.run());
  }

  private run(): void {
    const nowMs = this.clock.nowMs();
    this.timer = null;
    this.armedTick = Number.POSITIVE_INFINITY;
    const due: Deadline[] = [];
    const nowTick = Math.floor(nowMs / tickMs);
    const from = Math.max(this.doneTick + 1, nowTick - slots + 1);
    for (let tick = from; tick <= nowTick; tick += 1) this.collect(tick & (slots - 1), nowMs, due);
    this.doneTick = nowTick;
    for (const entry of due) {
      if (entry.slot !== firing) continue;
      entry.slot = unscheduled;
      entry.onDeadline(nowMs);
    }
    if (this.count > 0) this.armNext();
  }

  private collect(slot: number, nowMs: number, due: Deadline[]): void {
    let entry = this.heads[slot]!;
    while (entry !== null) {
      const next: Deadline | null = entry.after;
      if (entry.dueMs <= nowMs) {
        this.unlink(entry);
        entry.slot = firing;
        due.push(entry);
      }
      entry = next!;
    }
  }

  private armNext(): void {
    for (let tick = this.doneTick + 1; tick <= this.doneTick + slots; tick += 1) {
      if (this.heads[tick & (slots - 1)] === null) continue;
      if (tick < this.armedTick) this.arm(tick);
      return;
    }
  }
}
