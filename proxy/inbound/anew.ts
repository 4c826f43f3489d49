// When policies or modes change, asks every open connection again whether what it carries may go on: in
// slices, so that ten thousand connections do not hold up the traffic of the others. It decides nothing.

import type { InboundPort } from '../api/resources.ts';
import type { Io } from '../net/link.ts';
import { Deadline } from '../net/timer-wheel.ts';
import type { PreparedWorkload } from '../state/prepared.ts';
import type { InboundConnection } from './connection.ts';

/** Looked at in one turn of the event loop: below a millisecond, at 3 µs each with a thousand rules. */
const sliceSize = 256;

export class JudgedAnew extends Deadline {
  private readonly open: ReadonlySet<InboundConnection>;
  private readonly io: Io;
  /** What connections were admitted by. */
  private inForce: PreparedWorkload | null = null;
  private rest: Iterator<InboundConnection> | null = null;
  /** Another change came while connections were looked at: those before are looked at once more. */
  private again = false;

  constructor(open: ReadonlySet<InboundConnection>, io: Io) {
    super();
    this.open = open;
    this.io = io;
  }

  /** After a swap. Without a configuration nothing new is let in, and nobody can judge what is open. */
  onSwap(workload: PreparedWorkload | null): void {
    const before = this.inForce;
    if (workload === null || workload === before) return;
    this.inForce = workload;
    if (this.open.size === 0 || (before !== null && decidesAlike(before, workload))) return;
    if (this.rest !== null) {
      this.again = true;
      return;
    }
    this.rest = this.open.values();
    this.scheduleSlice();
  }

  onDeadline(): void {
    for (let judged = 0; judged < sliceSize;) {
      const next = this.rest?.next();
      if (next === undefined || next.done === true) {
        this.finish();
        return;
      }
      judged += Math.max(1, next.value.judgeAnew());
    }
    this.scheduleSlice();
  }

  private finish(): void {
    this.rest = this.again ? this.open.values() : null;
    this.again = false;
    if (this.rest !== null) this.scheduleSlice();
  }

  private scheduleSlice(): void {
    this.io.wheel.schedule(this, this.io.clock.nowMs());
  }
}

function decidesAlike(a: PreparedWorkload, b: PreparedWorkload): boolean {
  if (a.authorizer !== b.authorizer || a.ports.size !== b.ports.size) return false;
  if (!hasSameMode(a.otherPort, b.otherPort)) return false;
  for (const [number, port] of a.ports)
    if (!hasSameMode(port, b.ports.get(number) ?? b.otherPort)) return false;
  return true;
}

function hasSameMode(a: InboundPort, b: InboundPort): boolean {
  return a.mtls === b.mtls;
}
