// Ends what nothing moves on for too long: whoever moves something notes when, and the wheel looks lazily, so that no timer
// is touched per chunk. What the end is, is its owner's.

import type { Io } from './link.ts';
import { Deadline } from './timer-wheel.ts';

export class IdleWatch extends Deadline {
  private readonly io: Io;
  private readonly timeoutMs: number;
  private readonly onIdle: () => void;
  private activeMs: number;

  constructor(io: Io, timeoutMs: number, onIdle: () => void) {
    super();
    this.io = io;
    this.timeoutMs = timeoutMs;
    this.onIdle = onIdle;
    this.activeMs = io.clock.nowMs();
    io.wheel.schedule(this, this.activeMs + timeoutMs);
  }

  note(): void {
    this.activeMs = this.io.clock.nowMs();
  }

  stop(): void {
    this.io.wheel.cancel(this);
  }

  onDeadline(nowMs: number): void {
    const dueMs = this.activeMs + this.timeoutMs;
    if (nowMs >= dueMs) this.onIdle();
    else this.io.wheel.schedule(this, dueMs);
  }
}
