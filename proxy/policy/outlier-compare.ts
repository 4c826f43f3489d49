// Endpoints compared with each other: whose share of good answers is far below the mean, and whose answers take far longer
// than those of the others. Figures are kept for good and read as differences, so that recording is a few additions, and
// several policies may look at the same endpoint. Pure but for the figures it is given.

import type { EndpointHandle, PreparedOutlier } from '../state/prepared.ts';
import { ejectCompared, isInUse, type Among, type EjectionReason } from './outlier.ts';

/** Counted for good; of one endpoint, shared by every set that holds it. */
export interface EndpointFigures {
  answers: number;
  good: number;
  /** Answers by the time they took. */
  readonly byLatency: Uint32Array;
  /** By comparison, in a row. */
  ejections: number;
}

/** What one that compares has seen of an endpoint when it looked last. */
export interface Seen {
  answers: number;
  good: number;
  readonly byLatency: Uint32Array;
}

export interface Ejected {
  endpoint: EndpointHandle;
  reason: EjectionReason;
}

/** Each bucket reaches 9 % further than the one before: 8 for a doubling, from 1/8 ms to 17 minutes. */
const bucketsPerDoubling = 8;
const doublings = 23;
const lowestExponent = -3;
const buckets = bucketsPerDoubling * doublings;

export function newFigures(): EndpointFigures {
  return { answers: 0, good: 0, byLatency: new Uint32Array(buckets), ejections: 0 };
}

export function recordAnswer(figures: EndpointFigures, good: boolean): void {
  figures.answers += 1;
  if (good) figures.good += 1;
}

export function recordLatency({ byLatency }: EndpointFigures, latencyMs: number): void {
  byLatency[bucketOf(latencyMs)]! += 1;
}

function bucketOf(latencyMs: number): number {
  if (!(latencyMs > 0)) return 0;
  const index = Math.floor((Math.log2(latencyMs) - lowestExponent) * bucketsPerDoubling);
  return Math.min(buckets - 1, Math.max(0, index));
}

/** The middle of what a bucket holds, in milliseconds. */
function middleOf(bucket: number): number {
  return 2 ** ((bucket + 0.5) / bucketsPerDoubling + lowestExponent);
}

/** What happened since the last look, of one endpoint. */
interface Recent {
  endpoint: EndpointHandle;
  answers: number;
  good: number;
  byLatency: Uint32Array;
  timed: number;
}

/**
 * Compares the endpoints by what they answered since the last time, and ejects. `seen` is what was known then, and is
 * brought up to date; endpoints that are gone are forgotten.
 */
export function compare(among: Among, seen: Map<EndpointHandle, Seen>, nowMs: number): Ejected[] {
  const { policy, endpoints } = among;
  const recent = endpoints
    .map((endpoint) => lookAt(endpoint, seen))
    .filter(({ endpoint }) => isInUse(endpoint.load));
  const here = new Set(endpoints);
  for (const endpoint of seen.keys()) if (!here.has(endpoint)) seen.delete(endpoint);
  const ejected: Ejected[] = [];
  const eject = (endpoint: EndpointHandle, reason: EjectionReason, slowFromMs: number): void => {
    if (isInUse(endpoint.load) && ejectCompared(endpoint, slowFromMs, among, nowMs))
      ejected.push({ endpoint, reason });
  };
  for (const endpoint of failing(recent, policy)) eject(endpoint, 'success-rate', 0);
  for (const { endpoint, slowFromMs } of slow(recent, policy))
    eject(endpoint, 'latency', slowFromMs);
  forgive(recent);
  return ejected;
}

/** Who was compared and stayed in use is one ejection further from being out for long. */
function forgive(recent: readonly Recent[]): void {
  for (const { endpoint, answers } of recent) {
    const { load } = endpoint;
    if (answers > 0 && isInUse(load) && load.figures !== null && load.figures.ejections > 0)
      load.figures.ejections -= 1;
  }
}

function lookAt(endpoint: EndpointHandle, seen: Map<EndpointHandle, Seen>): Recent {
  const figures = (endpoint.load.figures ??= newFigures());
  const recent = { endpoint, answers: 0, good: 0, byLatency: new Uint32Array(buckets), timed: 0 };
  const before = seen.get(endpoint);
  // What came before anybody looked is nobody's recent past.
  if (before !== undefined) {
    recent.answers = figures.answers - before.answers;
    recent.good = figures.good - before.good;
    for (let i = 0; i < buckets; i += 1) {
      // Differences of 32 bits, so that counts may go round.
      const count = (figures.byLatency[i]! - before.byLatency[i]!) >>> 0;
      recent.byLatency[i] = count;
      recent.timed += count;
    }
  }
  const now = before ?? { answers: 0, good: 0, byLatency: new Uint32Array(buckets) };
  now.answers = figures.answers;
  now.good = figures.good;
  now.byLatency.set(figures.byLatency);
  if (before === undefined) seen.set(endpoint, now);
  return recent;
}

/** Rates that differ by rounding only are the same. */
const alike = 1e-9;

function failing(recent: readonly Recent[], { successRate }: PreparedOutlier): EndpointHandle[] {
  if (successRate === null) return [];
  const { stdevFactorPermille, minimumEndpoints, requestVolume } = successRate;
  const judged = recent.filter(({ answers }) => answers >= requestVolume);
  if (judged.length < minimumEndpoints) return [];
  const rates = judged.map(({ good, answers }) => good / answers);
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
  const least = mean - (Math.sqrt(variance) * stdevFactorPermille) / 1000;
  return judged
    .map(({ endpoint }, i) => ({ endpoint, rate: rates[i]! }))
    .filter(({ rate }) => rate < least - alike)
    .toSorted((a, b) => a.rate - b.rate)
    .map(({ endpoint }) => endpoint);
}

/** The slowest first: at most a share of all goes. */
function slow(recent: readonly Recent[], { latency }: PreparedOutlier) {
  if (latency === null) return [];
  const { factorPercent, minimumMs, minimumEndpoints, requestVolume } = latency;
  const judged = recent.filter(({ timed }) => timed >= requestVolume);
  if (judged.length < minimumEndpoints) return [];
  const all = new Uint32Array(buckets);
  for (const { byLatency } of judged) for (let i = 0; i < buckets; i += 1) all[i]! += byLatency[i]!;
  return judged
    .map(({ endpoint, byLatency }) => {
      const others = all.map((count, i) => count - byLatency[i]!);
      const slowFromMs = Math.max(minimumMs, (medianOf(others) * factorPercent) / 100);
      return { endpoint, medianMs: medianOf(byLatency), slowFromMs };
    })
    .filter(({ medianMs, slowFromMs }) => medianMs >= slowFromMs)
    .toSorted((a, b) => b.medianMs - a.medianMs);
}

function medianOf(byLatency: Uint32Array): number {
  let total = 0;
  for (const count of byLatency) total += count;
  let below = 0;
  for (const [bucket, count] of byLatency.entries()) {
    below += count;
    if (below * 2 >= total) return middleOf(bucket);
  }
  return 0;
}
