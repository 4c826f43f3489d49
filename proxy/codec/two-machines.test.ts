// Two machines against each other in memory, whatever the messages and however the transport cuts their bytes: what one
// end sends is what the other hears.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createH1ClientSession } from './h1-client.ts';
import { createH1ServerSession } from './h1-server.ts';
import { createH2ClientSession } from './h2-client.ts';
import { createH2ServerSession } from './h2-server.ts';
import type { ClientSession, ClientStream, Fields, RequestHead } from './session.ts';
import type { ResponseHead, ServerSession, ServerStream, Session } from './session.ts';
import { Recorder, bytesOf, recordRequests, request, response } from './test-recorder.ts';

interface Message {
  fields: Fields;
  body: string;
  /** Sizes of the pieces in which the body is sent. */
  pieces: number[];
  counted: boolean;
  trailers: Fields;
}

const name = fc.constantFrom(
  'a',
  'x-b',
  'cookie',
  'set-cookie',
  'authorization',
  'grpc-status',
  'etag',
);
const value = fc
  .string({ unit: 'binary-ascii', maxLength: 40 })
  .map((text) => text.replace(/[^\x20-\x7e]/g, '\xe9').trim());
const fields = fc
  .uniqueArray(fc.tuple(name, value), { maxLength: 6, selector: ([n]) => n })
  .map((list) => list.flat());
const message: fc.Arbitrary<Message> = fc.record({
  fields,
  body: fc.nat(40_000).map((length) => 'body '.repeat(length / 5)),
  pieces: fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 5 }),
  counted: fc.boolean(),
  trailers: fc.oneof(fc.constant<Fields>([]), fields),
});
const exchange = fc.tuple(message, message);
const cuts = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 6 });

function send(
  stream: ClientStream | ServerStream,
  { body, pieces, trailers, counted }: Message,
): void {
  let at = 0;
  for (let i = 0; at < body.length; i++) {
    const end = Math.min(body.length, at + pieces[i % pieces.length]!);
    stream.sendData(bytesOf(body.slice(at, end)), false);
    at = end;
  }
  if (trailers.length > 0 && !counted) stream.sendTrailers(trailers);
  else stream.sendData(Buffer.alloc(0), true);
}

/** Hears a message and gives it back to its window. */
class Consumer<In extends RequestHead | ResponseHead> extends Recorder<In> {
  consume: (bytes: number) => void = () => {};

  override onData(chunk: Buffer, end: boolean): void {
    super.onData(chunk, end);
    this.consume(chunk.length);
  }
}

/** Moves bytes both ways in pieces of the given sizes until both ends are silent. */
function pump(a: Session, b: Session, sizes: readonly number[]): void {
  let turn = 0;
  const move = (from: Session, to: Session): boolean => {
    const bytes = Buffer.concat(from.takeOutput());
    for (let at = 0; at < bytes.length;) {
      const size = sizes[turn++ % sizes.length]!;
      to.receive(bytes.subarray(at, at + size), turn);
      at += size;
    }
    return bytes.length > 0;
  };
  for (let moved = true; moved;) moved = [move(a, b), move(b, a)].includes(true);
}

const lengthOf = ({ body, counted }: Message): number | null => (counted ? body.length : null);
const heard = (got: Recorder<RequestHead | ResponseHead>) => [
  got.body,
  got.trailers ?? [],
  got.resetReason,
];
const said = ({ body, trailers, counted }: Message) => [body, counted ? [] : trailers, null];

function answerAll(server: ServerSession, answers: Message[]): Consumer<RequestHead>[] {
  const gots: Consumer<RequestHead>[] = [];
  server.onRequest = (stream, _head, end) => {
    const got = new Consumer<RequestHead>();
    const answer = answers[gots.push(got) - 1]!;
    got.ended = end;
    got.consume = (bytes) => stream.consumed(bytes);
    stream.sendHead(response({ fields: answer.fields, contentLength: lengthOf(answer) }), false);
    send(stream, answer);
    return got;
  };
  return gots;
}

function ask(client: ClientSession, asked: Message): Consumer<ResponseHead> {
  const got = new Consumer<ResponseHead>();
  const head = request({ method: 'POST', fields: asked.fields, contentLength: lengthOf(asked) });
  const stream = client.open(head, false, got);
  got.consume = (bytes) => stream.consumed(bytes);
  send(stream, asked);
  return got;
}

describe('two HTTP/2 machines', () => {
  it('hear from each other what was said, on all streams at once', () => {
    fc.assert(
      fc.property(fc.array(exchange, { minLength: 1, maxLength: 6 }), cuts, (exchanges, sizes) => {
        const small = {
          streamWindowBytes: 9000,
          connectionWindowBytes: 70_000,
          headerTableBytes: 200,
        };
        const client = createH2ClientSession(small);
        const server = createH2ServerSession({ huffman: 'smaller', batchBytes: 5000 });
        const requests = answerAll(
          server,
          exchanges.map(([, answer]) => answer),
        );
        const responses = exchanges.map(([asked]) => ask(client, asked));
        pump(client, server, sizes);
        expect(requests.map(heard)).toEqual(exchanges.map(([asked]) => said(asked)));
        expect(responses.map(heard)).toEqual(exchanges.map(([, answer]) => said(answer)));
        expect(responses.map((got) => got.last.fields)).toEqual(
          exchanges.map(([, answer]) => answer.fields),
        );
        expect([client.error, server.error, client.openStreams, server.openStreams]).toEqual([
          null,
          null,
          0,
          0,
        ]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('two HTTP/1.1 machines', () => {
  it('hear from each other what was said, one exchange after the other', () => {
    fc.assert(
      fc.property(fc.array(exchange, { minLength: 1, maxLength: 4 }), cuts, (exchanges, sizes) => {
        const client = createH1ClientSession();
        const server = createH1ServerSession();
        const requests = answerAll(
          server,
          exchanges.map(([, answer]) => answer),
        );
        const responses = exchanges.map(([asked]) => {
          const got = ask(client, asked);
          pump(client, server, sizes);
          return got;
        });
        expect(requests.map(heard)).toEqual(exchanges.map(([asked]) => said(asked)));
        expect(responses.map(heard)).toEqual(exchanges.map(([, answer]) => said(answer)));
        expect(responses.map((got) => got.last.fields)).toEqual(
          exchanges.map(([, answer]) => answer.fields),
        );
        expect([client.error, server.error, client.capacity]).toEqual([null, null, 1]);
      }),
      { numRuns: 60 },
    );
  });

  it('agree on the requests, whatever the heads', () => {
    const token = fc
      .stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/)
      .filter((text) => text !== 'PRI');
    const path = fc.stringMatching(/^\/[!-"$-~]{0,30}$/);
    const method = token.filter((text) => text !== 'CONNECT');
    fc.assert(
      fc.property(method, path, fields, (verb, target, list) => {
        const client = createH1ClientSession();
        const server = createH1ServerSession();
        const exchanges = recordRequests(server);
        const head = request({ method: verb, path: target, fields: list, contentLength: 0 });
        client.open(head, true, new Recorder<ResponseHead>());
        pump(client, server, [7]);
        expect(exchanges.map((one) => one.head)).toEqual([head]);
      }),
    );
  });
});
