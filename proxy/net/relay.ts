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
  private closed = 0;
  private broken = false;
  private readonly a: Link;
  private readonly b: Link;
  private readonly listener: RelayListener;

  constructor(a: Link, b: Link, listener: RelayListener) {
    this.a = a;
    this.b = b;
    this.listener = listener;
    this.join(a, b, (bytes) => (this.sentBytes += bytes));
    this.join(b, a, (bytes) => (this.receivedBytes += bytes));
    // Bytes may have been read before already; an end too, which is not told twice.
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
  }

  private onClose(gone: Link, other: Link): void {
    const { socket } = gone;
    if (!socket.readableEnded || !socket.writableFinished) {
      this.broken = true;
      resetLink(other);
    }
    this.closed += 1;
    if (this.closed === 2) this.listener.onDone(this.sentBytes, this.receivedBytes, this.broken);
  }
}
