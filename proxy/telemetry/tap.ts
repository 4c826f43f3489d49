// Live requests for whoever watches: entries of the access log, whatever its mode, that pass a watcher's filter, so many a second
// at most. Who watches and how it gets there is admin/tap.ts. While nobody does, traffic pays for one boolean.

import type { TapLine } from '../api/tap.ts';
import type { Clock } from '../net/clock.ts';
import type { AccessEntry } from './access-log.ts';
import type { Direction } from './counters.ts';

/** Empty texts and null let everything pass. */
export interface TapFilter {
  direction: Direction | null;
  method: string;
  /** What the path begins with. */
  path: string;
  /** Both included; 0 is what was broken off, or no HTTP. */
  status: readonly [least: number, most: number] | null;
  minDurationMs: number;
  /** `*`: any. */
  flag: string;
  /** Inbound: namespace, or `namespace/service-account`, of the caller's verified identity. */
  from: string;
  /** Outbound: what was called, `cart.shop:80` or without the port; `*.shop`: all of a namespace. */
  to: string;
}

export interface TapWish {
  filter: TapFilter;
  linesPerSecond: number;
}

/** `line` is one entry as JSON, empty where there is only something to count; `leftOut`: since the last call. */
export type TapListener = (line: string, leftOut: number) => void;

export interface Tap {
  /** Somebody watches: read for every request. */
  readonly active: boolean;
  take(entry: AccessEntry): void;
  /** Returns the way to stop. */
  open(wish: TapWish, listener: TapListener): () => void;
}

/** What may be said within one second, counted from its first line. */
export class LineBudget {
  private readonly perSecond: number;
  private startedMs = -Infinity;
  private used = 0;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
  }

  take(nowMs: number): boolean {
    if (nowMs - this.startedMs >= 1000) {
      this.startedMs = nowMs;
      this.used = 0;
    }
    if (this.used >= this.perSecond) return false;
    this.used += 1;
    return true;
  }
}

class Watch {
  private readonly wish: TapWish;
  private readonly listener: TapListener;
  private readonly clock: Clock;
  private readonly budget: LineBudget;
  private leftOut = 0;
  private told = true;
  private ended = false;

  constructor(wish: TapWish, listener: TapListener, clock: Clock) {
    this.wish = wish;
    this.listener = listener;
    this.clock = clock;
    this.budget = new LineBudget(wish.linesPerSecond);
  }

  take(entry: AccessEntry): void {
    if (!passes(this.wish.filter, entry)) return;
    if (this.budget.take(this.clock.nowMs())) this.tell(lineOf(entry, this.clock.wallTimeMs()));
    else this.leaveOut();
  }

  end(): void {
    if (this.leftOut > 0) this.tell('');
    this.ended = true;
  }

  private tell(line: string): void {
    const { leftOut } = this;
    this.leftOut = 0;
    this.listener(line, leftOut);
  }

  /** Told with the next line, or a second later where none comes. */
  private leaveOut(): void {
    this.leftOut += 1;
    if (!this.told) return;
    this.told = false;
    this.clock.after(1000, () => {
      this.told = true;
      if (!this.ended && this.leftOut > 0) this.tell('');
    });
  }
}

export function createTap(clock: Clock): Tap {
  const watches = new Set<Watch>();
  const tap = {
    active: false,
    take(entry: AccessEntry) {
      for (const watch of watches) watch.take(entry);
    },
    open(wish: TapWish, listener: TapListener) {
      const watch = new Watch(wish, listener, clock);
      watches.add(watch);
      tap.active = true;
      return () => {
        watch.end();
        watches.delete(watch);
        tap.active = watches.size > 0;
      };
    },
  };
  return tap;
}

function lineOf(entry: AccessEntry, wallTimeMs: number): string {
  const line: TapLine = { time: new Date(wallTimeMs).toISOString(), ...entry };
  return JSON.stringify(line);
}

export function passes(filter: TapFilter, entry: AccessEntry): boolean {
  const { direction, method, path, status, minDurationMs, flag } = filter;
  if (direction !== null && entry.direction !== direction) return false;
  if (method !== '' && entry.method !== method) return false;
  if (path !== '' && !entry.path.startsWith(path)) return false;
  if (status !== null && (entry.status < status[0] || entry.status > status[1])) return false;
  if (entry.durationMs < minDurationMs) return false;
  if (flag !== '' && (flag === '*' ? entry.flag === '' : entry.flag !== flag)) return false;
  return isFrom(filter.from, entry) && isTo(filter.to, entry);
}

function isFrom(from: string, { direction, peer }: AccessEntry): boolean {
  if (from === '') return true;
  if (direction !== 'inbound') return false;
  const [namespace = '', account] = from.split('/');
  const within = `/ns/${namespace}/sa/`;
  return account === undefined ? peer.includes(within) : peer.endsWith(`${within}${account}`);
}

function isTo(to: string, { direction, destination }: AccessEntry): boolean {
  if (to === '') return true;
  if (direction !== 'outbound') return false;
  if (destination === to || destination.startsWith(`${to}:`)) return true;
  if (!to.startsWith('*.')) return false;
  const ending = destination.replace(/:\d+$/, '');
  return ending.endsWith(to.slice(1));
}
