// Writes what a session owes as one piece where that is cheaper: pieces side by side make one call, and on
// TLS one buffer to encrypt instead of many to be copied together by Node. It decides nothing about when.

import type { Link } from './link.ts';

/** More than a session gives at once (batchBytes of H2Options, and one frame). */
const joinedBytes = 384 * 1024;
/** Pieces of TCP shorter than this in the mean are cheaper copied together than described one by one. */
const shortPieceBytes = 8 * 1024;

export class SocketWriter {
  private joined: Buffer | null = null;

  /** `pieces` holds one at least; they must not change afterwards. */
  write({ socket, raw }: Link, pieces: readonly Buffer[]): void {
    if (pieces.length === 1) {
      socket.write(pieces[0]!);
      return;
    }
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    const encrypts = socket !== raw;
    // TLS encrypts within `write` unless another write is before it: then this place is free again.
    if (encrypts && socket.writableLength === 0 && bytes <= joinedBytes)
      socket.write(this.join(pieces, bytes));
    else if (encrypts || bytes < pieces.length * shortPieceBytes)
      socket.write(Buffer.concat(pieces, bytes));
    else {
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
  }

  private join(pieces: readonly Buffer[], bytes: number): Buffer {
    const into = (this.joined ??= Buffer.allocUnsafeSlow(joinedBytes));
    let at = 0;
    for (const piece of pieces) {
      into.set(piece, at);
      at += piece.length;
    }
    return into.subarray(0, bytes);
  }
}
