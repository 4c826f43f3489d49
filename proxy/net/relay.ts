// Joins two links byte for byte: half-close, back-pressure and resets go through; nothing is changed.
// Each direction is a Pipe of its own; what ends both is decided here.

import { IdleWatch } from './idle-watch.ts';
import { resetLink, type Io, type Link } from './link.ts';
import { Pipe } from './pipe.ts';

export interface RelayListener {
  /** Both links are closed. `broken`: one of them by a reset or an error. */
  onDone(sentBytes: number, receivedBytes: number, broken: boolean): void;
  /** Where there is one: sees what comes from `b` first; false: it is not handed on. */
  guard?(first: Buffer): boolean;
  /** Where there is one: is shown what goes from `a` to `b` until it has seen enough (false). */
  watch?(bytes: Buffer): boolean;
  /** Where there is one: nothing moved either way for so long; then both links are reset. */
  idle?: { timeoutMs: number; onIdle: () => void };
}

export class Relay {
  private readonly a: Link;
  private readonly b: Link;
  /** From `a` to `b`, and back. */
  private readonly there: Pipe;
  private readonly back: Pipe;
  private readonly listener: RelayListener;
  private open = 2;
  private broken = false;
  private readonly idle: IdleWatch | null;

  /** `first` was read from `a` already and goes to `b` before all else. */
  constructor(links: { a: Link; b: Link }, first: Buffer | null, io: Io, listener: RelayListener) {
    const { a, b } = links;
    this.a = a;
    this.b = b;
    this.listener = listener;
    this.there = new Pipe(a, b, io);
    this.back = new Pipe(b, a, io);
    if (listener.guard !== undefined) this.back.guard = (bytes) => listener.guard!(bytes);
    if (listener.watch !== undefined) this.there.watch = (bytes) => listener.watch!(bytes);
    const { idle } = listener;
    this.idle = idle === undefined ? null : new IdleWatch(io, idle.timeoutMs, idle.onIdle);
    this.there.idle = this.idle;
    this.back.idle = this.idle;
    if (first !== null && first.length > 0) this.there.put(first);
    this.follow(a);
    this.follow(b);
  }

  destroy(): void {
    resetLink(this.a);
    resetLink(this.b);
  }

  private follow(link: Link): void {
    const { socket } = link;
    socket.on('error', () => undefined);
    // What happened while the first bytes were looked at is not told again.
    if (socket.destroyed) {
      this.onClose(link);
      return;
    }
    socket.once('close', () => this.onClose(link));
    this.pipeFrom(link).start();
  }

  private pipeFrom(link: Link): Pipe {
    return link === this.a ? this.there : this.back;
  }

  private onClose(link: Link): void {
    const { socket } = link;
    const other = link === this.a ? this.b : this.a;
    this.open -= 1;
    if (!socket.readableEnded || !socket.writableFinished) {
      this.broken = true;
      // What came before the reset goes before the reset.
      this.pipeFrom(link).flush();
      resetLink(other);
    }
    if (this.open > 0) return;
    this.idle?.stop();
    this.listener.onDone(this.there.bytes, this.back.bytes, this.broken);
  }
}
