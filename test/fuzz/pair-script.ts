// What one end of an exchange says in a random conversation, how it says it piece by piece, and the check of what the
// other end heard.
import type { ClientStream, Fields, RequestHead, ResponseHead } from '../../proxy/codec/session.ts';
import type { ServerStream } from '../../proxy/codec/session.ts';
import { Recorder, request, response } from '../../proxy/codec/test-recorder.ts';
import type { Random } from './random.ts';
import { must, mustEqual } from './target.ts';

type Head = RequestHead | ResponseHead;

/** One message as it is to be sent. */
export interface Part<H extends Head> {
  head: H;
  interim: ResponseHead[];
  /** It has no body: the end comes with the head. */
  ends: boolean;
  body: string;
  pieces: string[];
  trailers: Fields;
}

export interface Script {
  ask: Part<RequestHead>;
  answer: Part<ResponseHead>;
}

const VALUES = ['', '1', 'a b', 'x'.repeat(200), '\xe9', 'gzip, br', '/a?b="c"'];
const NAMES = ['accept', 'x-a', 'x-b', 'cookie', 'authorization', 'etag'];

function fields(random: Random, n: number): Fields {
  const own = ['x-n', String(n)];
  const names = NAMES.filter(() => random.oneIn(3));
  return [...own, ...names.flatMap((name) => [name, random.pick(VALUES)])];
}

/** Of a body each place says whose it is and where it stands. */
function bodyOf(what: string, length: number): string {
  let text = '';
  for (let i = 0; text.length < length; i++) text += `${what}.${i};`;
  return text.slice(0, length);
}

function cut(random: Random, body: string): string[] {
  const pieces: string[] = [];
  const largest = random.pick([10, 3000, 100_000]);
  for (let at = 0; at < body.length;) {
    const end = Math.min(body.length, at + Math.ceil(body.length / 12) + random.below(largest));
    pieces.push(body.slice(at, end));
    at = end;
  }
  return pieces;
}

function bodyLength(random: Random): number {
  return random.pick([0, 1, random.below(300), random.below(40_000)]);
}

export function scriptOf(random: Random, n: number, tunnelAllowed: boolean): Script {
  const method = random.pick(['GET', 'POST', 'POST', 'HEAD', 'PUT']);
  const tunnel = tunnelAllowed && random.oneIn(6);
  const bodiless = !tunnel && method !== 'POST' && method !== 'PUT';
  const askBody = bodiless ? '' : bodyOf(`q${n}`, bodyLength(random));
  const counted = !tunnel && !bodiless && random.oneIn(2);
  const ask: Part<RequestHead> = {
    head: request({
      method: tunnel ? 'GET' : method,
      path: `/${n}`,
      upgrade: tunnel ? 'x' : null,
      fields: fields(random, n),
      contentLength: counted ? askBody.length : null,
    }),
    interim: [],
    ends: bodiless,
    body: askBody,
    pieces: cut(random, askBody),
    trailers: !tunnel && !counted && !bodiless && random.oneIn(3) ? ['x-t', `q${n}`] : [],
  };
  return { ask, answer: tunnel ? agreed(random, n) : answerTo(random, n, method) };
}

function agreed(random: Random, n: number): Part<ResponseHead> {
  const body = bodyOf(`a${n}`, bodyLength(random));
  const head = response({ status: 101, fields: ['x-n', String(n)] });
  return { head, interim: [], ends: false, body, pieces: cut(random, body), trailers: [] };
}

function answerTo(random: Random, n: number, method: string): Part<ResponseHead> {
  const status = random.pick([200, 200, 200, 404, 204, 304, 503]);
  const bodiless = method === 'HEAD' || status === 204 || status === 304 || random.oneIn(8);
  const body = bodiless ? '' : bodyOf(`a${n}`, bodyLength(random));
  const counted = !bodiless && random.oneIn(2);
  return {
    head: response({
      status,
      fields: fields(random, n),
      contentLength: counted ? body.length : null,
    }),
    interim: random.list(2, () =>
      response({ status: random.pick([102, 103]), fields: ['x-n', String(n)] }),
    ),
    ends: bodiless,
    body,
    pieces: cut(random, body),
    trailers: !counted && !bodiless && random.oneIn(3) ? ['x-t', `a${n}`] : [],
  };
}

/** Counts what it heard and has not given back. */
class Listener<In extends Head> extends Recorder<In> {
  text = '';
  ends = 0;
  held = 0;

  override onHead(head: In, end: boolean): void {
    must(this.ends === 0, 'a head after the end');
    super.onHead(head, end);
    if (end) this.ends++;
  }

  override onData(chunk: Buffer, end: boolean): void {
    must(this.ends === 0, 'data after the end');
    this.text += chunk.toString('latin1');
    this.held += chunk.length;
    this.ended ||= end;
    if (end) this.ends++;
  }

  override onTrailers(fields: Fields): void {
    must(this.ends === 0, 'trailers after the end');
    super.onTrailers(fields);
    this.ends++;
  }

  override onReset(reason: string): void {
    must(this.resetReason === null, 'an exchange is reset twice');
    super.onReset(reason);
  }
}

/** One end of one exchange. */
export class Talk<Out extends Head, In extends Head> {
  readonly script: Part<Out>;
  readonly got = new Listener<In>();
  stream: (ClientStream & ServerStream) | ClientStream | ServerStream | null = null;
  #interim = 0;
  #headSent = false;
  #piece = 0;
  #done = false;

  constructor(script: Part<Out>) {
    this.script = script;
  }

  /** The head went out with `open`. */
  begun(ended: boolean): void {
    this.#headSent = true;
    this.#done = ended;
  }

  /** Says the next thing; false: all is said, or nobody listens any more. */
  say(): boolean {
    const stream = this.stream as (ClientStream & ServerStream) | null;
    if (stream === null || this.#done || this.got.resetReason !== null) return false;
    const { interim, head, ends, pieces, trailers } = this.script;
    if (!this.#headSent && this.#interim < interim.length) {
      (stream as ServerStream).sendHead(interim[this.#interim++]!, false);
    } else if (!this.#headSent) {
      this.begun(ends);
      (stream as ServerStream).sendHead(head as ResponseHead, ends);
    } else if (this.#piece < pieces.length) {
      const last = this.#piece === pieces.length - 1 && trailers.length === 0;
      this.#done = last;
      stream.sendData(Buffer.from(pieces[this.#piece++]!, 'latin1'), last);
    } else {
      this.#done = true;
      if (trailers.length > 0) stream.sendTrailers(trailers);
      else stream.sendData(Buffer.alloc(0), true);
    }
    return true;
  }

  consume(most: number): boolean {
    const bytes = Math.min(most, this.got.held);
    if (bytes === 0 || this.stream === null) return false;
    this.got.held -= bytes;
    this.stream.consumed(bytes);
    return true;
  }

  reset(): void {
    this.#done = true;
    this.stream?.reset('cancelled');
  }
}

const withoutUpgrade = (list: Fields): Fields =>
  list.filter((_, i) => list[i - (i % 2)] !== 'upgrade');

/** What arrived is what was said: all of it if nothing was given up, else as far as it goes. */
export function heardBy<H extends Head>(
  got: Listener<H> | undefined,
  said: Part<H>,
  what: string,
  disturbed: boolean,
): void {
  if (got === undefined) return must(disturbed, `${what} never arrives`);
  must(disturbed || got.resetReason === null, `${what} is reset`, () => got.resetReason);
  must(said.body.startsWith(got.text), `${what} has another body`, () => got.text.slice(0, 60));
  const heads = got.heads.map(({ fields: list }) => withoutUpgrade(list));
  const expected = [...said.interim, said.head].map(({ fields: list }) => list);
  mustEqual(heads, expected.slice(0, heads.length), `${what} has other heads`);
  must(disturbed || heads.length === expected.length, `${what} has no head`);
  must(disturbed || got.ends === 1, `${what} never ends`);
  if (got.ends === 0) return;
  must(got.text === said.body, `${what} is cut short, and looks whole`);
  mustEqual(got.trailers ?? [], said.trailers, `${what} has other trailers`);
}
