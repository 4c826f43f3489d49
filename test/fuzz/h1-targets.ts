// Fuzz targets for the HTTP/1.1 reader and sessions: odd and spoilt input, cut anywhere; and what was taken, written out
// for the next hop, is one message that says the same there.
import { H1Reader } from '../../proxy/codec/h1-reader.ts';
import { createH1ClientSession } from '../../proxy/codec/h1-client.ts';
import { createH1ServerSession } from '../../proxy/codec/h1-server.ts';
import type { ClientStream, RequestHead, ResponseHead } from '../../proxy/codec/session.ts';
import type { ServerStream } from '../../proxy/codec/session.ts';
import { Recorder, recordRequests, request, response } from '../../proxy/codec/test-recorder.ts';
import type { Exchange } from '../../proxy/codec/test-recorder.ts';
import { feed, mustStayOver } from './drive.ts';
import { Watcher } from './listeners.ts';
import { H1_WORDS, oddRequest, oddResponse } from './h1-grammar.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

type Got = Recorder<RequestHead> | Recorder<ResponseHead>;

const heard = (got: Got): unknown => [got.body, got.ended, got.trailers, got.resetReason];

function input(random: Random, make: (random: Random) => string): Buffer {
  const text = random.list(4, () => make(random)).join('');
  const bytes = Buffer.from(text, 'latin1');
  return random.oneIn(2) ? mutate(random, bytes, H1_WORDS) : bytes;
}

/** What an app does with a request; the same for the same number of the request, however its bytes came. */
const APPS = [
  'answer',
  'answer',
  'late',
  'switch',
  'refuse-switch',
  'early-close',
  'never',
  'reset',
];

function act({ head, stream }: Exchange, app: string): void {
  if (app === 'reset') return stream.reset('internal');
  if (app === 'never') return;
  if (app === 'switch' && head.upgrade !== null) {
    return void stream.sendHead(response({ status: 101 }), false);
  }
  if (app === 'early-close') stream.sendHead(response({ status: 103 }), false);
  stream.sendHead(response({ fields: ['x', 'y'], contentLength: 2 }), false);
  stream.sendData(Buffer.from('ok'), true);
}

function serve(pieces: readonly Buffer[], apps: readonly string[], end: boolean) {
  const session = createH1ServerSession({
    allowHalfClose: apps.length % 2 === 0,
    maxHeadBytes: 4096,
  });
  const exchanges: (Exchange & { got: Watcher<RequestHead> })[] = [];
  session.onRequest = (stream, head, ended) => {
    const app = apps[exchanges.length % apps.length]!;
    const got = new Watcher<RequestHead>();
    got.ended = ended;
    const exchange = { head, stream, got };
    exchanges.push(exchange);
    // Called before the listener is known, as an app that answers at once does.
    if (app !== 'late' || ended) act(exchange, app);
    else got.onEnd = () => act(exchange, 'answer');
    return got;
  };
  const fed = feed(session, pieces, end);
  return { session, exchanges, ...fed };
}

function serverFacts({ session, exchanges, output }: ReturnType<typeof serve>): unknown {
  const said = exchanges.map(({ head, got }) => [head, heard(got)]);
  const { error, closing, aborting, openStreams } = session;
  return { said, output: output.toString('latin1'), error, closing, aborting, openStreams };
}

const server: Target = {
  name: 'h1-server',
  run(random) {
    const bytes = input(random, oddRequest);
    const apps = Array.from({ length: random.between(1, 4) }, () => random.pick(APPS));
    const end = random.oneIn(2);
    const whole = serve([bytes], apps, end);
    const split = serve(random.split(bytes), apps, end);
    mustEqual(serverFacts(split), serverFacts(whole), 'a split changes what a server hears');
    const answers = whole.exchanges.length + 1;
    must(whole.output.length <= 400 * answers, 'a server says more than it has to');
    for (const { got } of whole.exchanges) {
      must(!(got.ended && got.resetReason === 'protocol'), 'a whole request is reset as broken');
    }
    if (whole.session.closing && whole.session.openStreams === 0) mustStayOver(whole.session);
  },
};

/** `endless`: the request's body is still on its way. */
function ask(pieces: readonly Buffer[], asked: RequestHead, end: boolean, endless = false) {
  const session = createH1ClientSession({ maxHeadBytes: 4096 });
  const got = new Watcher<ResponseHead>();
  session.open(asked, !endless, got);
  const fed = feed(session, pieces, end);
  // The response may be whole, and the exchange not.
  if (!endless) must(got.ends + got.resets <= 1, 'a whole exchange is reset');
  if (end) must(got.ends + got.resets >= 1, 'a response never ends');
  return { session, got, ...fed };
}

const ASKED: readonly RequestHead[] = [
  request(),
  request({ method: 'HEAD' }),
  request({ method: 'CONNECT', authority: 'a:1', path: '' }),
  request({ upgrade: 'websocket' }),
];

const client: Target = {
  name: 'h1-client',
  run(random) {
    const bytes = input(random, oddResponse);
    const asked = random.pick(ASKED);
    const end = random.oneIn(2);
    const facts = ({ session, got }: ReturnType<typeof ask>): unknown => {
      const { error, closing, aborting, openStreams, reusable } = session;
      return [got.heads, heard(got), error, closing, aborting, openStreams, reusable];
    };
    const endless = random.oneIn(4);
    const whole = ask([bytes], asked, end, endless);
    const split = ask(random.split(bytes), asked, end, endless);
    mustEqual(facts(split), facts(whole), 'a split changes what a client hears');
    must(whole.output.length <= 200, 'a client says more than its request');
    if (whole.session.closing && whole.session.openStreams === 0) mustStayOver(whole.session);
  },
};

const reader: Target = {
  name: 'h1-reader',
  run(random) {
    const maxHeadBytes = random.between(64, 400);
    const modes = ['none', 'chunked', 'length'] as const;
    let body = 0;
    let lengths = 0;
    const r: H1Reader = new H1Reader(
      {
        onHeadText(text) {
          must(text.length <= maxHeadBytes + 1, 'a head is longer than allowed', () => text.length);
          if (!text.endsWith('\r\n\r\n')) return null;
          const length = random.between(1, 100);
          r.expectBody(random.pick(modes), length);
          lengths += length;
          return null;
        },
        onBody: (chunk) => void (body += chunk.length),
        onTrailerText: (text) => {
          must(text.length <= maxHeadBytes + 1, 'trailers are longer than allowed');
          return null;
        },
        onMessageEnd: (last) => void (body += last?.length ?? 0),
        onFault: () => {},
      },
      maxHeadBytes,
    );
    const bytes = Buffer.concat([input(random, oddRequest), random.bytes(random.size(300))]);
    for (const piece of random.split(bytes)) {
      const { restBytes } = r;
      r.receive(piece);
      // An extension may be as long as a chunk's share, beyond a small head limit.
      const most = Math.max(maxHeadBytes, 1024 + 32);
      must(restBytes <= most, 'a reader holds more than a head', () => restBytes);
    }
    must(body <= bytes.length && lengths >= 0, 'a body is longer than what came');
  },
};

/** Sends a whole message on a stream as the relay between two hops does. */
function pass(stream: ClientStream | ServerStream, got: Got): void {
  if (got.body !== '') stream.sendData(Buffer.from(got.body, 'latin1'), false);
  if (got.trailers !== null) stream.sendTrailers(got.trailers);
  else stream.sendData(Buffer.alloc(0), true);
}

/** Without what the next hop cannot know: whether there was a TLS, and how an empty body was said. */
const meaning = (head: RequestHead): unknown => [
  head.method,
  head.authority,
  head.path,
  head.upgrade,
  head.fields,
];

const forward: Target = {
  name: 'h1-forward',
  run(random) {
    const taken = serve([input(random, oddRequest)], ['late'], false);
    for (const { head, got } of taken.exchanges) {
      if (!got.ended || head.upgrade !== null || head.method === 'CONNECT') continue;
      const session = createH1ClientSession();
      const bodiless = got.body === '' && got.trailers === null && head.contentLength === null;
      const stream = session.open(head, bodiless, new Recorder<ResponseHead>());
      if (!bodiless) pass(stream, got);
      must(session.error === null, 'a request that was taken cannot be passed on', () => head);
      const next = createH1ServerSession();
      const exchanges = recordRequests(next);
      feed(next, random.split(Buffer.concat(session.takeOutput())), false);
      must(next.error === null, 'a request that was passed on is refused', () => [
        head,
        next.error,
      ]);
      must(exchanges.length === 1, 'a request becomes another number of requests', () => head);
      mustEqual(meaning(exchanges[0]!.head), meaning(head), 'a request changes on its way');
      const trailers = exchanges[0]!.got.trailers ?? [];
      mustEqual(trailers, counted(head) ? [] : (got.trailers ?? []), 'its trailers change');
      mustEqual(
        [exchanges[0]!.got.body, exchanges[0]!.got.ended],
        [got.body, true],
        'its body changes',
      );
    }
  },
};

const counted = (head: RequestHead | ResponseHead): boolean => head.contentLength !== null;

const forwardResponse: Target = {
  name: 'h1-forward-response',
  run(random) {
    const asked = random.pick([ASKED[0]!, ASKED[1]!]);
    const { got } = ask([input(random, oddResponse)], asked, true);
    const head = got.heads.at(-1);
    if (head === undefined || head.status < 200 || !got.ended || got.resetReason !== null) return;
    const server = createH1ServerSession();
    const [exchange] = requestOf(server, asked);
    const { stream } = exchange!;
    const bodiless = asked.method === 'HEAD' || head.status === 204 || head.status === 304;
    stream.sendHead(head, bodiless);
    if (!bodiless) pass(stream, got);
    must(server.error === null, 'a response that was taken cannot be passed on', () => head);
    const output = Buffer.concat(server.takeOutput());
    const next = ask(random.split(output), asked, false);
    must(next.got.resetReason === null, 'a response that was passed on is refused', () => [
      head,
      next.session.error,
    ]);
    const [last] = next.got.heads.slice(-1);
    mustEqual([last!.status, last!.fields], [head.status, head.fields], 'a response changes');
    mustEqual([next.got.body, next.got.ended], [got.body, true], 'its body changes');
    must(next.got.heads.length === 1, 'a response becomes two');
  },
};

function requestOf(
  server: ReturnType<typeof createH1ServerSession>,
  asked: RequestHead,
): Exchange[] {
  const exchanges = recordRequests(server);
  server.receive(Buffer.from(`${asked.method} / HTTP/1.1\r\nHost: a\r\n\r\n`), 0);
  return exchanges;
}

export const h1Targets: readonly Target[] = [server, client, reader, forward, forwardResponse];
