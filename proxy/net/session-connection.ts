// Drives one HTTP session over one link: feeds it what the socket reads, writes what it owes once per
// turn of the event loop, keeps its timeouts, ends or resets the socket. It knows no HTTP.

import type { Session } from '../codec/session.ts';
import type { Flushable } from './flusher.ts';
import { resetLink, type Io, type Link } from './link.ts';
import { Deadline } from './timer-wheel.ts';

export interface ConnectionOwner {
  /** The session may have free streams again, or none for ever. Called after each time it was served. */
  onServed(): void;
  /** The transport is gone; every stream of the session was told before. */
  onClosed(): void;
}

/** How long the peer may take to send its FIN after ours (RFC 9112 §9.6). */
const lingerMs = 5_000;

export class SessionConnection extends Deadline implements Flushable {
  marked = false;
  closed = false;
  /** Writes so far: what was said since the count was the same has not left this process. */
  writes = 0;
  readonly link: Link;
  readonly session: Session;
  private readonly io: Io;
  private readonly owner: ConnectionOwner;
  private blocked = false;
  private paused = false;
  private ended = false;

  constructor(link: Link, session: Session, io: Io, owner: ConnectionOwner) {
    super();
    this.link = link;
    this.session = session;
    this.io = io;
    this.owner = owner;
    session.onWake = () => io.flusher.mark(this);
    const { socket } = link;
    io.reader.attach(socket, (bytes) => this.onData(bytes));
    socket.on('drain', () => this.onDrain());
    socket.on('end', () => this.onEnd());
    socket.on('error', () => undefined);
    socket.on('close', () => this.onClose());
  }

  /** `first` are bytes that were read to tell the protocol. */
  start(first: Buffer | null): void {
    if (this.link.socket.destroyed) {
      this.onClose();
      return;
    }
    if (first !== null && first.length > 0) this.onData(first);
    this.io.flusher.mark(this);
    if (!this.paused) this.link.socket.resume();
  }

  /** Ends at once; open streams hear `closed`. */
  destroy(): void {
    resetLink(this.link);
    this.onClose();
  }

  flush(): void {
    if (this.closed) return;
    const { session } = this;
    if (!this.blocked && session.hasOutput) this.write();
    if (session.closing) this.finish();
    if (session.wantsRead === this.paused) this.turnReading();
    this.schedule();
    if (!this.closed) this.owner.onServed();
  }

  onDeadline(nowMs: number): void {
    if (this.closed) return;
    if (this.ended && this.session.openStreams === 0) {
      this.destroy();
      return;
    }
    const next = this.session.nextTimeoutMs();
    if (next !== null && next <= nowMs) this.session.onTimeout(nowMs);
    this.flush();
  }

  private write(): void {
    const { socket } = this.link;
    const pieces = this.session.takeOutput();
    if (pieces.length === 0 || !socket.writable) return;
    this.writes += 1;
    this.io.writer.write(this.link, pieces);
    this.blocked = socket.writableNeedDrain;
  }

  private finish(): void {
    if (this.session.aborting) {
      if (!this.blocked) this.destroy();
      return;
    }
    if (this.ended || this.session.hasOutput) return;
    this.ended = true;
    this.link.socket.end();
  }

  private turnReading(): void {
    this.paused = !this.session.wantsRead;
    if (this.paused) this.link.socket.pause();
    else this.link.socket.resume();
  }

  /** Lazy: a deadline that moved back is left where it is, and asked again when it comes. */
  private schedule(): void {
    if (this.closed) return;
    let next = this.session.nextTimeoutMs();
    if (this.ended && this.session.openStreams === 0) next = this.io.clock.nowMs() + lingerMs;
    if (next !== null && (this.slot < 0 || next < this.dueMs)) this.io.wheel.schedule(this, next);
  }

  private onData(chunk: Buffer): void {
    if (this.closed) return;
    this.session.receive(chunk, this.io.clock.nowMs());
    // Even where nothing is owed: its owner learns of free streams, and timeouts move.
    this.io.flusher.mark(this);
    if (!this.session.wantsRead && !this.paused) this.turnReading();
  }

  private onDrain(): void {
    this.blocked = false;
    this.flush();
  }

  private onEnd(): void {
    if (this.closed) return;
    this.session.receiveEnd(this.io.clock.nowMs());
    this.io.flusher.mark(this);
  }

  private onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.io.wheel.cancel(this);
    this.session.close();
    this.owner.onClosed();
  }
}
