// Fuzz targets for the HTTP/2 frame reader and sessions: random and spoilt frames, cut anywhere.
import { H2_PREFACE } from '../../proxy/codec/detect.ts';
import { createH2ClientSession } from '../../proxy/codec/h2-client.ts';
import { H2FrameReader } from '../../proxy/codec/h2-frame-reader.ts';
import { createH2ServerSession } from '../../proxy/codec/h2-server.ts';
import type { ClientSession, RequestHead, ResponseHead } from '../../proxy/codec/session.ts';
import type { ServerSession, ServerStream } from '../../proxy/codec/session.ts';
import { SETTINGS } from '../../proxy/codec/test-frames.ts';
import { request, response } from '../../proxy/codec/test-recorder.ts';
import type { Exchange, Recorder } from '../../proxy/codec/test-recorder.ts';
import { feed, mustStayOver } from './drive.ts';
import { FrameMaker, H2_WORDS } from './h2-grammar.ts';
import { Watcher } from './listeners.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

/** How far a broken message came depends on the reads; that it broke does not. */
function heard(got: Recorder<RequestHead> | Recorder<ResponseHead>): unknown {
  if (got.resetReason !== null) return [got.heads, got.resetReason];
  return [got.heads, got.body, got.ended, got.trailers];
}

function input(random: Random, opens: boolean): Buffer {
  const frames = new FrameMaker(random, opens).frames();
  const start = opens ? [H2_PREFACE, SETTINGS] : [SETTINGS];
  if (random.oneIn(20)) return mutate(random, Buffer.concat([...start, frames]), H2_WORDS);
  return Buffer.concat([...start, random.oneIn(3) ? mutate(random, frames, H2_WORDS) : frames]);
}

function facts(session: ServerSession | ClientSession, output: Buffer): unknown {
  const { error, closing, aborting, openStreams } = session;
  return [error, closing, aborting, openStreams, output.toString('latin1')];
}

/** Each octet in can make only so many go out. */
function mustBeBounded(output: Buffer, inputBytes: number): void {
  must(output.length <= 4096 + 6 * inputBytes, 'a session says far more than it hears', () => [
    output.length,
    inputBytes,
  ]);
}

const APPS = ['answer', 'answer', 'stream', 'never', 'reset', 'early'];

function act(stream: ServerStream, head: RequestHead, app: string): void {
  if (app === 'never') return;
  if (app === 'reset') return stream.reset('internal');
  const status = head.upgrade === null ? 200 : 101;
  stream.sendHead(response({ status, fields: ['x', 'y'] }), app === 'early' && status === 200);
  if (app === 'early') return;
  stream.sendData(Buffer.from('ok'), app === 'answer');
}

function serve(pieces: readonly Buffer[], apps: readonly string[], end: boolean) {
  const session = createH2ServerSession({ maxConcurrentStreams: 4 });
  const exchanges: Exchange[] = [];
  session.onRequest = (stream, head) => {
    const app = apps[exchanges.length % apps.length]!;
    const got = new Watcher<RequestHead>();
    got.consume = (bytes) => stream.consumed(bytes);
    exchanges.push({ head, stream, got });
    act(stream, head, app);
    return got;
  };
  const { output, inputBytes } = feed(session, pieces, end);
  mustBeBounded(output, inputBytes);
  const said = exchanges.map(({ head, got }) => [head, heard(got)]);
  return { session, facts: [said, facts(session, output)] };
}

const server: Target = {
  name: 'h2-server',
  run(random) {
    const bytes = input(random, true);
    const apps = Array.from({ length: random.between(1, 4) }, () => random.pick(APPS));
    const end = random.oneIn(2);
    const whole = serve([bytes], apps, end);
    mustEqual(
      serve(random.split(bytes), apps, end).facts,
      whole.facts,
      'a split changes what is heard',
    );
    if (whole.session.closing) mustStayOver(whole.session);
  },
};

function ask(pieces: readonly Buffer[], end: boolean) {
  const session = createH2ClientSession();
  const gots = [request(), request({ method: 'HEAD' }), request({ method: 'POST' })].map((head) => {
    const got = new Watcher<ResponseHead>();
    const stream = session.open(head, head.method !== 'POST', got);
    got.consume = (bytes) => stream.consumed(bytes);
    if (head.method === 'POST') stream.sendData(Buffer.from('body'), false);
    return got;
  });
  const { output, inputBytes } = feed(session, pieces, end);
  mustBeBounded(output, inputBytes);
  return { session, facts: [gots.map(heard), facts(session, output)] };
}

const client: Target = {
  name: 'h2-client',
  run(random) {
    const bytes = input(random, false);
    const end = random.oneIn(2);
    const whole = ask([bytes], end);
    mustEqual(ask(random.split(bytes), end).facts, whole.facts, 'a split changes what is heard');
    if (whole.session.closing) mustStayOver(whole.session);
  },
};

/** What a reader says, with pieces of DATA put together. */
function readFrames(pieces: readonly Buffer[], max: number): { log: string[]; octets: number } {
  const log: string[] = [];
  let data = '';
  let octets = 0;
  const r = new H2FrameReader(
    {
      onFrame(type, flags, id, payload) {
        must(payload.length <= max, 'a frame is larger than allowed');
        octets += 9 + payload.length;
        log.push(`${type} ${flags} ${id} ${payload.toString('latin1')}`);
      },
      onDataStart(id, length, end) {
        octets += 9;
        log.push(`data ${id} ${length} ${end}`);
      },
      onDataPiece(piece, last) {
        octets += piece.length;
        data += piece.toString('latin1');
        if (last) log.push(`piece ${data}`);
        if (last) data = '';
      },
      // Said before it is there.
      onDataPadding: () => {},
      onFrameError: (code, text) => void log.push(`error ${code} ${text}`),
    },
    max,
    false,
  );
  for (const piece of pieces) r.receive(piece);
  log.push(`rest ${data}`);
  return { log, octets };
}

const reader: Target = {
  name: 'h2-frames',
  run(random) {
    const frames = new FrameMaker(random, true).frames();
    const bytes = random.oneIn(2) ? mutate(random, frames, H2_WORDS) : frames;
    const max = random.pick([30, 16384]);
    const whole = readFrames([bytes], max);
    mustEqual(readFrames(random.split(bytes), max).log, whole.log, 'a split changes the frames');
    must(whole.octets <= bytes.length, 'a reader makes octets up');
  },
};

export const h2Targets: readonly Target[] = [server, client, reader];
