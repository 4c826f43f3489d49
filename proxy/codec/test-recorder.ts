// For tests: listeners that write down what a session says, in a form in which splits of the input do not show.
import { EMPTY } from './h1-body-writer.ts';
import type { ClientStream, Fields, RequestHead, ResponseHead, ServerSession } from './session.ts';
import type { ServerStream, Session, StreamListener } from './session.ts';

export class Recorder<In extends RequestHead | ResponseHead> implements StreamListener<In> {
  readonly events: string[] = [];
  readonly heads: In[] = [];
  body = '';
  bodyBytes = 0;
  ended = false;
  trailers: Fields | null = null;
  trailersNever: readonly string[] | null = null;
  resetReason: string | null = null;
  drained = 0;

  onHead(head: In, end: boolean): void {
    this.heads.push(head);
    if (end) this.ended = true;
  }

  onData(chunk: Buffer, end: boolean): void {
    this.bodyBytes += chunk.length;
    if (this.bodyBytes < 1_000_000) this.body += chunk.toString('latin1');
    if (end) this.ended = true;
  }

  onTrailers(fields: Fields, neverIndexed: readonly string[] | null = null): void {
    this.trailers = fields;
    this.trailersNever = neverIndexed;
    this.ended = true;
  }

  onReset(reason: string): void {
    this.resetReason = reason;
  }

  onDrained(): void {
    this.drained++;
  }

  get last(): In {
    return this.heads[this.heads.length - 1]!;
  }
}

export interface Exchange {
  head: RequestHead;
  stream: ServerStream;
  got: Recorder<RequestHead>;
}

/** Collects requests; `answer`, if given, is called for each as soon as its head is there. */
export function recordRequests(
  session: ServerSession,
  answer?: (exchange: Exchange) => void,
): Exchange[] {
  const exchanges: Exchange[] = [];
  session.onRequest = (stream, head, end) => {
    const got = new Recorder<RequestHead>();
    got.ended = end;
    const exchange = { head, stream, got };
    exchanges.push(exchange);
    answer?.(exchange);
    return got;
  };
  return exchanges;
}

export function takeText(session: Session): string {
  return Buffer.concat(session.takeOutput()).toString('latin1');
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

export function request(over: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'a.test',
    path: '/',
    upgrade: null,
    fields: [],
    contentLength: null,
    ...over,
  };
}

export function response(over: Partial<ResponseHead> = {}): ResponseHead {
  return { status: 200, fields: [], contentLength: null, ...over };
}

/** Sends a whole body, an empty one included. */
export function sendAll(stream: ClientStream | ServerStream, body: string): void {
  stream.sendData(body === '' ? EMPTY : bytesOf(body), true);
}

/** Moves bytes both ways until both are silent. */
export function shuttle(a: Session, b: Session, nowMs = 0): void {
  for (let round = 0; round < 100_000; round++) {
    const fromA = a.takeOutput();
    for (const chunk of fromA) b.receive(chunk, nowMs);
    const fromB = b.takeOutput();
    for (const chunk of fromB) a.receive(chunk, nowMs);
    if (fromA.length === 0 && fromB.length === 0) return;
  }
  throw new Error('the two sessions never fell silent');
}
