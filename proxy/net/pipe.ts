// One direction of a relay: takes what one socket reads, hands it to the other, and stops reading while that
// one has not taken it. It ends the receiving side when the sending side has ended, and decides no more.

import type { Socket } from 'node:net';
import type { Flushable } from './flusher.ts';
import type { IdleWatch } from './idle-watch.ts';
import type { Io, Link } from './link.ts';

export class Pipe implements Flushable {
  marked = false;
  bytes = 0;
  /** Sees what comes first, once; false: nothing of it is handed on. */
  guard: ((first: Buffer) => boolean) | null = null;
  /** Is shown what is handed on, which it must not keep, until it has seen enough (false). */
  watch: ((bytes: Buffer) => boolean) | null = null;
  /** Is told that something moved; null: nobody asks. */
  idle: IdleWatch | null = null;
  private readonly source: Socket;
  private readonly sink: Socket;
  private readonly io: Io;
  /**
   * TLS encrypts within `write`: what was read may be handed over where it stands. A TCP socket may keep a
   * reference until the peer reads: it gets a copy. What it gets are the records of TLS, 16 KiB each and
   * warm in the cache: a copy of many, written at once, costs less than a system call for each.
   */
  private readonly takesAtOnce: boolean;
  private staged: Buffer | null = null;
  private stagedBytes = 0;
  /** A write is under way; the source waits for it. */
  private writing = false;
  private readonly written = (): void => this.onWritten();

  constructor(from: Link, to: Link, io: Io) {
    this.source = from.socket;
    this.sink = to.socket;
    this.takesAtOnce = to.socket !== to.raw;
    this.io = io;
  }

  /** Goes before all that is read; the bytes are the pipe's. */
  put(bytes: Buffer): void {
    if (this.guard !== null && !this.isLetThrough(bytes)) return;
    if (this.watch !== null) this.show(bytes);
    this.idle?.note();
    this.bytes += bytes.length;
    this.write(bytes);
  }

  start(): void {
    const { source } = this;
    source.on('end', () => this.onEnd());
    // What was put back, or read before this.
    for (let chunk: Buffer | null; (chunk = source.read() as Buffer | null) !== null;)
      this.put(chunk);
    this.io.reader.borrow(source, (bytes) => this.onBytes(bytes));
    if (source.readableEnded) this.onEnd();
    else if (!this.writing) source.resume();
  }

  /** Writes what was staged in this turn of the event loop. */
  flush(): void {
    if (this.writing || this.stagedBytes === 0) return;
    const slab = this.staged!;
    const { stagedBytes } = this;
    this.staged = null;
    this.stagedBytes = 0;
    this.write(stagedBytes === slab.length ? slab : slab.subarray(0, stagedBytes));
    if (!this.writing) this.io.reader.slabs.giveBack(slab);
    else this.source.pause();
  }

  /** `bytes` may be kept until this returns. False: no more for now. */
  private onBytes(bytes: Buffer): boolean {
    if (this.guard !== null && !this.isLetThrough(bytes)) return true;
    if (this.watch !== null) this.show(bytes);
    this.idle?.note();
    this.bytes += bytes.length;
    if (this.takesAtOnce && !this.writing && this.stagedBytes === 0) this.write(bytes);
    else this.stage(bytes);
    return !this.writing;
  }

  private isLetThrough(first: Buffer): boolean {
    const { guard } = this;
    this.guard = null;
    return guard === null || guard(first);
  }

  private show(bytes: Buffer): void {
    if (!this.watch!(bytes)) this.watch = null;
  }

  private stage(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      const slab = (this.staged ??= this.io.reader.slabs.take());
      const taken = rest.copy(slab, this.stagedBytes);
      this.stagedBytes += taken;
      if (this.stagedBytes === slab.length) this.overflow();
      rest = rest.subarray(taken);
    }
    if (this.stagedBytes > 0) this.io.flusher.mark(this);
  }

  /** A slab is full. Behind a write that is under way it is queued: of the paused source only a rest still comes. */
  private overflow(): void {
    if (!this.writing) {
      this.flush();
      return;
    }
    this.sink.write(this.staged!);
    this.staged = null;
    this.stagedBytes = 0;
  }

  private write(bytes: Buffer): void {
    const { sink } = this;
    if (!sink.writable) return;
    sink.write(bytes, this.written);
    this.writing = sink.writableLength > 0;
  }

  private onWritten(): void {
    if (!this.writing || this.sink.writableLength > 0) return;
    this.writing = false;
    this.flush();
    if (!this.writing) this.source.resume();
  }

  private onEnd(): void {
    const { sink, staged, stagedBytes } = this;
    if (staged !== null && sink.writable) sink.write(staged.subarray(0, stagedBytes));
    this.staged = null;
    this.stagedBytes = 0;
    if (!sink.writableEnded) sink.end();
  }
}
