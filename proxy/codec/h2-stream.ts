// One HTTP/2 stream: its state (RFC 9113 §5.1), its windows and the message it carries, as the session's own record and
// as the handle that the user of the session holds. Decisions are the session's.
import type { RequestHead, ResponseHead } from './session.ts';
import type { Fields, ResetReason, Stream, StreamListener } from './session.ts';
import { H2SendQueue } from './h2-send-queue.ts';
import type { SendQueueOwner } from './h2-send-queue.ts';

type Head = RequestHead | ResponseHead;

/** What a stream asks of its session. */
export interface StreamHost<Out extends Head, In extends Head> {
  sendHead(stream: H2Stream<Out, In>, head: Out, end: boolean): boolean;
  sendData(stream: H2Stream<Out, In>, chunk: Buffer, end: boolean): boolean;
  sendTrailers(stream: H2Stream<Out, In>, fields: Fields, never: readonly string[] | null): void;
  resetByUser(stream: H2Stream<Out, In>, reason: ResetReason): void;
  consumed(stream: H2Stream<Out, In>, bytes: number): void;
  /** Ended both ways, and what it received is wanted no more. */
  forget(stream: H2Stream<Out, In>): void;
  sendDone(stream: H2Stream<Out, In>): void;
}

export class H2Stream<Out extends Head, In extends Head>
  implements Stream<Out, In>, SendQueueOwner
{
  /** Negative until it is on the wire (h2-client.ts). */
  id: number;
  readonly queue: H2SendQueue;
  readonly #host: StreamHost<Out, In>;
  listener: StreamListener<In>;
  /** The final head was sent, and received. */
  headSent = false;
  headReceived = false;
  /** END_STREAM was written, and received. */
  localDone = false;
  remoteDone = false;
  /** No longer in the session; `wasReset`: not by both ends being done. */
  dead = false;
  wasReset = false;
  /** The answer is under way to its end, and the rest of the request is not wanted: RST_STREAM when it is out. */
  resetWhenDone = false;
  /** What the peer may still send; what it sent and was not consumed; what was consumed and it was not told. */
  receiveWindow: number;
  /** What the peer may send at most before it is consumed: more for streams that are consumed at once. */
  windowBytes: number;
  unconsumed = 0;
  owed = 0;
  /** Declared body length of the message coming in, -1 where none counts; and what came. */
  expected = -1;
  received = 0;
  openedMs = 0;
  /** Interim responses received. */
  interim = 0;
  /** The request is HEAD (a response has no body then), CONNECT, or an extended CONNECT with this protocol. */
  isHead = false;
  isConnect = false;
  upgrade: string | null = null;

  constructor(
    host: StreamHost<Out, In>,
    id: number,
    windows: { readonly send: number; readonly receive: number },
    listener: StreamListener<In>,
  ) {
    this.#host = host;
    this.id = id;
    this.queue = new H2SendQueue(id, this, windows.send);
    this.receiveWindow = windows.receive;
    this.windowBytes = windows.receive;
    this.listener = listener;
  }

  get queuedBytes(): number {
    return this.queue.bytes;
  }

  /** This side's half is written or at least complete in the queue. */
  get sendEnded(): boolean {
    return this.queue.end;
  }

  sendHead(head: Out, end: boolean): boolean {
    return this.dead || this.#host.sendHead(this, head, end);
  }

  sendData(chunk: Buffer, end: boolean): boolean {
    return this.dead || this.#host.sendData(this, chunk, end);
  }

  sendTrailers(fields: Fields, never: readonly string[] | null = null): void {
    if (!this.dead) this.#host.sendTrailers(this, fields, never);
  }

  reset(reason: ResetReason): void {
    if (!this.dead) this.#host.resetByUser(this, reason);
    else if (!this.wasReset) this.#host.forget(this);
  }

  /** Also after both ends are done: what was received still counts against the connection. */
  consumed(bytes: number): void {
    if (!this.wasReset) this.#host.consumed(this, bytes);
  }

  onSendDone(): void {
    this.#host.sendDone(this);
  }

  onQueueDrained(): void {
    if (!this.dead) this.listener.onDrained();
  }
}

/** RFC 9113 §8.1.1: a body must be as long as its head said. */
export function lengthFits(stream: { expected: number; received: number }, end: boolean): boolean {
  if (stream.expected < 0) return true;
  return end ? stream.received === stream.expected : stream.received <= stream.expected;
}
