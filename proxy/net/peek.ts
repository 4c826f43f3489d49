// Reads the first bytes of a connection without deciding what they mean: whoever asked looks at them and
// says when it saw enough. The bytes are handed over; the socket is left paused.

import type { Socket } from 'node:net';

export interface PeekListener {
  /** Everything read so far; called again when more came, until `stop`. */
  onBytes(bytes: Buffer): void;
  /** The peer sent FIN, or the socket closed, before enough came. */
  onEnd(): void;
}

export class Peek {
  private readonly socket: Socket;
  private bytes: Buffer = Buffer.alloc(0);
  private readonly onData: (chunk: Buffer) => void;
  private readonly onGone: () => void;

  constructor(socket: Socket, listener: PeekListener) {
    this.socket = socket;
    this.onData = (chunk) => {
      this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
      listener.onBytes(this.bytes);
    };
    this.onGone = () => listener.onEnd();
    socket.on('data', this.onData);
    socket.on('end', this.onGone);
    socket.on('close', this.onGone);
    socket.resume();
  }

  /** Ends the looking; the bytes read belong to the caller now. */
  stop(): Buffer {
    this.socket.off('data', this.onData);
    this.socket.off('end', this.onGone);
    this.socket.off('close', this.onGone);
    this.socket.pause();
    return this.bytes;
  }
}
