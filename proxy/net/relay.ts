// Joins two links byte for byte: half-close, back-pressure and resets go through; nothing is looked at.

import { resetLink, type Link } from './link.ts';

export interface RelayListener {
  /** Both links are closed. `broken`: one of them by a reset or an error. */
  onDone(sentBytes: number, receivedBytes: number, broken: boolean): void;
}

export class Relay {
  /** From `a` to `b`, and back. */
  private sentBytes = 0;
  private receivedBytes = 0;
  private readonly gone = new Set<Link>();
  private broken = false;
  private readonly a: Link;
  private readonly b: Link;
  private readonly listener: RelayListener;

  /** `first` was read from `a` already and goes to `b` before all else. */
  constructor(a: Link, b: Link, first: Buffer | null, listener: RelayListener) {
    this.a = a;
    this.b = b;
    this.listener = listener;
    if (first !== null && first.length > 0) {
      this.sentBytes = first.length;
      b.socket.write(first);
    }
    this.join(a, b, (bytes) => (this.sentBytes += bytes));
    this.join(b, a, (bytes) => (this.receivedBytes += bytes));
    a.socket.resume();
    b.socket.resume();
  }

  destroy(): void {
    resetLink(this.a);
    resetLink(this.b);
  }

  private join(from: Link, to: Link, count: (bytes: number) => void): void {
    const source = from.socket;
    const sink = to.socket;
    source.on('data', (chunk: Buffer) => {
      count(chunk.length);
      if (sink.writable && !sink.write(chunk)) source.pause();
    });
    sink.on('drain', () => source.resume());
    source.on('end', () => sink.end());
    source.on('error', () => undefined);
    source.on('close', () => this.onClose(from, to));
    // What happened while the first bytes were looked at is not told again.
    if (source.readableEnded) sink.end();
    if (source.destroyed) this.onClose(from, to);
  }

  private onClose(gone: Link, other: Link): void {
    const { socket } = gone;
    if (this.gone.has(gone)) return;
    this.gone.add(gone);
    if (!socket.readableEnded || !socket.writableFinished) {
      this.broken = true;
      resetLink(other);
    }
    if (this.gone.size === 2) this.listener.onDone(this.sentBytes, this.receivedBytes, this.broken);
  }
}
