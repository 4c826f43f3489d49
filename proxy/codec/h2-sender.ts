// The sending half of an HTTP/2 connection: header blocks, and DATA of all streams in turn as far as the peer's windows
// reach (RFC 9113 §5.2, §6.9). Writes frames into the output; knows queues, not streams or messages.
import { DEFAULT_MAX_FRAME, DEFAULT_WINDOW, FLAG, FRAME, FRAME_HEADER_BYTES } from './h2-frames.ts';
import { LARGEST_WINDOW, writeFrameHeader } from './h2-frames.ts';
import type { H2Options } from './h2-options.ts';
import type { H2SendQueue, Trailers } from './h2-send-queue.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { Output } from './output.ts';
import type { Slab } from './output.ts';
import type { Fields } from './session.ts';

/** A larger frame would make the other streams of the connection wait, whatever the peer allows. */
const LARGEST_FRAME = 65536;

export class H2Sender {
  readonly out: Output;
  readonly encoder: HpackEncoder;
  window = DEFAULT_WINDOW;
  /** DATA frames written, for the flood budget: peers answer them with WINDOW_UPDATE. */
  dataFrames = 0;
  /** Bytes that wait in all queues. */
  queuedBytes = 0;
  readonly #batchBytes: number;
  readonly #lowWaterBytes: number;
  #maxFrame = DEFAULT_MAX_FRAME;
  /** Queues with bytes and a window, first come first served, one frame each. */
  #ready: H2SendQueue[] = [];
  #drained: H2SendQueue[] = [];
  #headers: Slab | null = null;

  constructor(options: H2Options) {
    this.out = new Output(options.slabs);
    this.encoder = new HpackEncoder(options.headerTableBytes, options.huffman);
    this.#batchBytes = options.batchBytes;
    this.#lowWaterBytes = options.highWaterBytes / 2;
  }

  get hasOutput(): boolean {
    return this.out.bytes > 0 || (this.window > 0 && this.#ready.length > 0);
  }

  setMaxFrame(bytes: number): void {
    this.#maxFrame = Math.min(bytes, LARGEST_FRAME);
  }

  /** Of names and values together. */
  octetsOf(fields: Fields): number {
    let octets = 0;
    for (let i = 0; i < fields.length; i++) octets += fields[i]!.length;
    return octets;
  }

  /**
   * A block of header fields: `beginHeaders`, then `encoder.field` for each, then `endHeaders`. Upper bounds: `octets` in
   * names and values, `count` fields.
   */
  beginHeaders(octets: number, count: number): void {
    const room = HpackEncoder.room(octets, count);
    this.#headers = this.out.open(FRAME_HEADER_BYTES + room);
    this.encoder.begin(this.#headers.buffer, this.#headers.used + FRAME_HEADER_BYTES);
  }

  fields(fields: Fields, never: readonly string[] | null): void {
    const encoder = this.encoder;
    if (never !== null) return this.#fieldsNever(fields, never);
    for (let i = 0; i < fields.length; i += 2) encoder.field(fields[i]!, fields[i + 1]!);
  }

  #fieldsNever(fields: Fields, never: readonly string[]): void {
    for (let i = 0; i < fields.length; i += 2) {
      this.encoder.field(fields[i]!, fields[i + 1]!, never.includes(fields[i]!));
    }
  }

  endHeaders(id: number, end: boolean): void {
    const { buffer, used } = this.#headers!;
    const length = this.encoder.end() - used - FRAME_HEADER_BYTES;
    this.#headers = null;
    const endFlag = end ? FLAG.endStream : 0;
    if (length > this.#maxFrame) {
      const start = used + FRAME_HEADER_BYTES;
      const block = Buffer.from(buffer.subarray(start, start + length));
      return this.#splitHeaders(id, endFlag, block);
    }
    const flags = FLAG.endHeaders | endFlag;
    writeFrameHeader(buffer, used, { length, type: FRAME.headers, flags, id });
    this.out.wrote(FRAME_HEADER_BYTES + length);
  }

  #splitHeaders(id: number, endFlag: number, block: Buffer): void {
    for (let at = 0; at < block.length; at += this.#maxFrame) {
      const part = block.subarray(at, at + this.#maxFrame);
      const last = at + this.#maxFrame >= block.length ? FLAG.endHeaders : 0;
      const type = at === 0 ? FRAME.headers : FRAME.continuation;
      this.#frame(part.length, type, last | (at === 0 ? endFlag : 0), id);
      this.out.payload(part);
    }
  }

  send(queue: H2SendQueue, chunk: Buffer, end: boolean): void {
    const length = chunk.length;
    if (queue.bytes === 0 && (length === 0 || this.#goesAtOnce(queue, length))) {
      if (length === 0 && !end) return;
      this.#frame(length, FRAME.data, end ? FLAG.endStream : 0, queue.id);
      this.out.payload(chunk);
      this.#count(queue, length);
      if (end) this.#done(queue);
      return;
    }
    queue.push(chunk);
    this.queuedBytes += length;
    queue.end = end;
    this.schedule(queue);
  }

  /** Nothing of it will be sent any more. */
  clear(queue: H2SendQueue): void {
    this.queuedBytes -= queue.bytes;
    queue.clear();
  }

  /** Nobody else waits and all windows have room: the round would give the same. */
  #goesAtOnce(queue: H2SendQueue, length: number): boolean {
    return (
      this.#ready.length === 0 &&
      length <= queue.window &&
      length <= this.window &&
      length <= this.#maxFrame &&
      this.out.bytes < this.#batchBytes
    );
  }

  sendTrailers(queue: H2SendQueue, trailers: Trailers): void {
    if (queue.bytes === 0) return this.#writeTrailers(queue, trailers);
    queue.trailers = trailers;
    queue.end = true;
  }

  /** False: the window would grow beyond 2^31-1. */
  widen(queue: H2SendQueue, by: number): boolean {
    if (queue.window + by > LARGEST_WINDOW) return false;
    queue.window += by;
    this.schedule(queue);
    return true;
  }

  schedule(queue: H2SendQueue): void {
    if (queue.scheduled || queue.bytes === 0 || queue.window <= 0) return;
    queue.scheduled = true;
    this.#ready.push(queue);
  }

  /** What there is, and as much DATA as a batch holds. Tells the owners of queues that became short at the end. */
  take(): Buffer[] {
    if (this.#ready.length > 0) this.#round();
    const output = this.out.take();
    if (this.#drained.length > 0) {
      const drained = this.#drained;
      this.#drained = [];
      for (const queue of drained) queue.owner.onQueueDrained();
    }
    return output;
  }

  /** One frame of each queue in turn. */
  #round(): void {
    let at = 0;
    const ready = this.#ready;
    while (at < ready.length && this.window > 0 && this.out.bytes < this.#batchBytes) {
      const queue = ready[at++]!;
      queue.scheduled = false;
      // It may have been cleared, or its window taken back, since it was scheduled.
      if (queue.bytes === 0 || queue.window <= 0) continue;
      this.#dataFrame(queue);
      this.schedule(queue);
    }
    this.#ready = at >= ready.length ? [] : ready.slice(at);
  }

  #dataFrame(queue: H2SendQueue): void {
    const length = Math.min(queue.bytes, queue.window, this.window, this.#maxFrame);
    const last = length === queue.bytes && queue.end && queue.trailers === null;
    this.#frame(length, FRAME.data, last ? FLAG.endStream : 0, queue.id);
    for (let left = length; left > 0;) {
      const piece = queue.shift(left);
      this.out.payload(piece);
      left -= piece.length;
    }
    this.queuedBytes -= length;
    this.#count(queue, length);
    if (queue.wantsDrain && queue.bytes <= this.#lowWaterBytes) {
      queue.wantsDrain = false;
      this.#drained.push(queue);
    }
    if (last) this.#done(queue);
    else if (queue.bytes === 0 && queue.trailers !== null)
      this.#writeTrailers(queue, queue.trailers);
  }

  #writeTrailers(queue: H2SendQueue, { fields, octets, never }: Trailers): void {
    queue.trailers = null;
    this.beginHeaders(octets, fields.length / 2);
    this.fields(fields, never);
    this.endHeaders(queue.id, true);
    this.#done(queue);
  }

  #done(queue: H2SendQueue): void {
    queue.end = true;
    queue.owner.onSendDone();
  }

  #count(queue: H2SendQueue, length: number): void {
    queue.window -= length;
    this.window -= length;
    queue.sweepsUnmoved = 0;
    this.dataFrames++;
  }

  #frame(length: number, type: number, flags: number, id: number): void {
    const { buffer, used } = this.out.open(FRAME_HEADER_BYTES);
    writeFrameHeader(buffer, used, { length, type, flags, id });
    this.out.wrote(FRAME_HEADER_BYTES);
  }
}
