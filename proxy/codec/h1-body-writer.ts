// Frames the body of one outgoing HTTP/1.1 message: counted, chunked, to the end of the connection, or raw.
// Writes into the connection's output; does not choose the framing.
import type { BodyFraming } from './h1-head.ts';
import { fieldLines } from './h1-text.ts';
import type { Output } from './output.ts';
import type { Fields } from './session.ts';

export class H1BodyWriter {
  #framing: BodyFraming = 'none';
  #remaining = 0;
  /** The message is complete. */
  done = false;

  begin(framing: BodyFraming, length: number): void {
    this.#framing = framing;
    this.#remaining = length;
  }

  get framing(): BodyFraming {
    return this.#framing;
  }

  /** False: the chunk contradicts the length that the head declared, so the message can no longer be told right. */
  write(out: Output, chunk: Buffer, end: boolean): boolean {
    const length = chunk.length;
    switch (this.#framing) {
      case 'none':
        break;
      case 'length':
        if (length > this.#remaining || (end && length < this.#remaining)) return false;
        this.#remaining -= length;
        out.payload(chunk);
        break;
      case 'chunked':
        if (length > 0) {
          out.text(`${length.toString(16)}\r\n`);
          out.payload(chunk);
          out.text(end ? '\r\n0\r\n\r\n' : '\r\n');
        } else if (end) out.text('0\r\n\r\n');
        break;
      case 'close':
      case 'tunnel':
        out.payload(chunk);
        break;
    }
    if (end) this.done = true;
    return true;
  }

  /** Trailers where the framing has a place for them; elsewhere they are dropped, as RFC 9110 §6.5 allows. */
  trailers(out: Output, fields: Fields): boolean {
    if (this.#framing !== 'chunked') return this.write(out, EMPTY, true);
    out.text(`0\r\n${fieldLines(fields)}\r\n`);
    this.done = true;
    return true;
  }
}

export const EMPTY: Buffer = Buffer.alloc(0);
