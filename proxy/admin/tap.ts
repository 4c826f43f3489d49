// `GET /tap` of the admin socket: live requests as lines of JSON, until the reader goes, its time is over or it has as many as it
// asked for. What it does not take is dropped and counted: traffic never waits for a reader.

import type { ServerResponse } from 'node:http';
import type { TapNote } from '../api/tap.ts';
import type { Clock, Timer } from '../net/clock.ts';
import { LineBudget, type TapFilter, type TapListener, type TapWish } from '../telemetry/tap.ts';

/** Of all threads. */
export interface TapSource {
  open(wish: TapWish, listener: TapListener): () => void;
}

interface TapAsked {
  wish: TapWish;
  seconds: number;
  /** 0: no bound. */
  lines: number;
}

const bounds = { linesPerSecond: 500, seconds: 3_600, lines: 1_000_000, minDurationMs: 86_400_000 };
const defaults = { linesPerSecond: 50, seconds: 600 };
/** Of all readers of a sidecar: each costs traffic a look at its filter. */
const maxTaps = 4;
const noteMs = 1_000;

/** A text: what is wrong with the question. */
export function readTap(query: URLSearchParams): TapAsked | string {
  const numbers = {
    linesPerSecond: numberIn(query, 'rate', [defaults.linesPerSecond, 1, bounds.linesPerSecond]),
    seconds: numberIn(query, 'seconds', [defaults.seconds, 1, bounds.seconds]),
    lines: numberIn(query, 'lines', [0, 0, bounds.lines]),
    minDurationMs: numberIn(query, 'min-duration', [0, 0, bounds.minDurationMs]),
  };
  const wrong = Object.values(numbers).find((one) => typeof one === 'string');
  if (wrong !== undefined) return wrong as string;
  const { linesPerSecond, seconds, lines, minDurationMs } = numbers as Record<
    keyof typeof numbers,
    number
  >;
  const status = statusIn(query.get('status') ?? '');
  if (typeof status === 'string') return status;
  const direction = query.get('direction') ?? '';
  if (!['', 'inbound', 'outbound'].includes(direction))
    return 'direction must be inbound or outbound';
  const filter: TapFilter = {
    direction: direction === '' ? null : (direction as 'inbound' | 'outbound'),
    method: (query.get('method') ?? '').toUpperCase(),
    path: query.get('path') ?? '',
    status,
    minDurationMs,
    flag: query.get('flag') ?? '',
    from: query.get('from') ?? '',
    to: query.get('to') ?? '',
  };
  return { wish: { filter, linesPerSecond }, seconds, lines };
}

function numberIn(
  query: URLSearchParams,
  name: string,
  [fallback, least, most]: readonly [number, number, number],
): number | string {
  const text = query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (text !== '' && value >= least && value <= most) return value;
  return `${name} must be from ${least} to ${most}`;
}

/** `404`, `5xx`, `400-499`; empty: any. */
function statusIn(text: string): TapFilter['status'] | string {
  if (text === '') return null;
  const whole = /^([1-5])xx$/.exec(text);
  if (whole !== null) return [Number(whole[1]) * 100, Number(whole[1]) * 100 + 99];
  const range = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text);
  if (range === null) return 'status must be like 404, 5xx or 400-499';
  const least = Number(range[1]);
  return [least, range[2] === undefined ? least : Number(range[2])];
}

/** Answers whole where the question is wrong or too many watch already. */
export function createTaps(source: TapSource, clock: Clock) {
  let open = 0;
  return (
    query: URLSearchParams,
    response: ServerResponse,
  ): { status: number; error: string } | null => {
    const asked = readTap(query);
    if (typeof asked === 'string') return { status: 400, error: asked };
    if (open >= maxTaps) return { status: 503, error: `${maxTaps} watch this sidecar already` };
    open += 1;
    response.once('close', () => (open -= 1));
    new TapStream(source, asked, { response, clock });
    return null;
  };
}

class TapStream {
  private readonly response: ServerResponse;
  private readonly clock: Clock;
  private readonly budget: LineBudget;
  private readonly stop: () => void;
  private readonly timers: Timer[] = [];
  private linesLeft: number;
  private leftOut = 0;
  private blocked = false;
  private ended = false;

  constructor(source: TapSource, asked: TapAsked, to: { response: ServerResponse; clock: Clock }) {
    const { wish, seconds, lines } = asked;
    this.response = to.response;
    this.clock = to.clock;
    this.budget = new LineBudget(wish.linesPerSecond);
    this.linesLeft = lines === 0 ? Infinity : lines;
    this.response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    this.response.flushHeaders();
    this.response.on('drain', () => (this.blocked = false));
    this.response.once('close', () => this.leave());
    this.stop = source.open(wish, (line, leftOut) => this.take(line, leftOut));
    this.timers[0] = this.clock.after(seconds * 1000, () => this.end('time'));
    this.noteSoon();
  }

  private take(line: string, leftOut: number): void {
    if (this.ended) return;
    this.leftOut += leftOut;
    if (line === '') return;
    // Several threads are bounded each for itself.
    if (this.blocked || !this.budget.take(this.clock.nowMs())) {
      this.leftOut += 1;
      return;
    }
    this.blocked = !this.response.write(`${line}\n`);
    this.linesLeft -= 1;
    if (this.linesLeft === 0) this.end('lines');
  }

  /** Lines of requests may be rare: a reader that is gone shows itself when something is written to it. */
  private noteSoon(): void {
    this.timers[1] = this.clock.after(noteMs, () => {
      this.note({});
      this.noteSoon();
    });
  }

  private note(more: Partial<TapNote['tap']>): void {
    if (this.blocked && more.ended === undefined) return;
    const note: TapNote = { tap: { leftOut: this.leftOut, ...more } };
    this.leftOut = 0;
    this.blocked = !this.response.write(`${JSON.stringify(note)}\n`);
  }

  private end(why: 'time' | 'lines'): void {
    if (this.ended) return;
    this.stop();
    this.note({ ended: why });
    this.leave();
    this.response.end();
  }

  private leave(): void {
    if (this.ended) return;
    this.ended = true;
    this.stop();
    for (const timer of this.timers) timer.cancel();
  }
}
