// What is known of an endpoint from how it answered, and which of several gets the next request by it: least requests in
// flight, weighed by the time an answer takes (peak EWMA) and by failures. Pure but for the figures it is given.

import type { EndpointHandle, EndpointLoad } from '../state/prepared.ts';
import { isDue, isOut } from './outlier.ts';

/** After this long without news half of what was known is forgotten. */
const decayMs = 10_000;
/** What one slow answer adds of its distance: all of it would take one long request for a slow endpoint (docs/load-balancing.md). */
const peakShare = 0.1;
/** What an answer that failed, or none at all, adds to the share of failures. */
const failedShare = 0.1;
const noAnswerShare = 0.3;
/** An endpoint that fails always is as bad as one that takes so many times as long; one in ten hardly counts. */
const failureFactor = 400;
/** Keeps the number in flight deciding between endpoints that answer in no time. */
const floorMs = 0.1;
/** Times that differ by less are noise: the number in flight decides, then whose turn it is. */
const alikeFactor = 1.5;
/** So many are looked at: of fewer, all. Two are not enough to be as even as round robin. */
export const mostLookedAt = 10;
/** A pod that said that it goes does not come back; by then the operator has taken it out. */
const leavingMs = 10_000;
/** Of its share of requests, what an endpoint gets as it comes. */
const firstShare = 0.1;

export function newLoad(): EndpointLoad {
  return {
    ewmaMs: 0,
    observedAtMs: -1,
    inFlight: 0,
    waiting: 0,
    waitingSinceMs: 0,
    chosenAtMs: -1,
    failures: 0,
    leavesUntilMs: -1,
    warmFromMs: -1,
    warmUntilMs: -1,
    credit: 0,
    health: null,
    figures: null,
  };
}

// How requests begin and end.

/** A request for it begins; it is in flight until `leaveLoad`. */
export function joinLoad(load: EndpointLoad, nowMs: number): void {
  load.inFlight += 1;
  load.chosenAtMs = nowMs;
}

export function leaveLoad(load: EndpointLoad): void {
  load.inFlight -= 1;
}

/** From now on an answer is owed: `answerCame` or `forgetAnswer` follows. */
export function awaitAnswer(load: EndpointLoad, nowMs: number): void {
  if (load.waiting === 0) load.waitingSinceMs = nowMs;
  load.waiting += 1;
}

export function answerCame(load: EndpointLoad, nowMs: number): void {
  load.waiting -= 1;
  load.waitingSinceMs = nowMs;
}

/** None will come. */
export function forgetAnswer(load: EndpointLoad): void {
  load.waiting -= 1;
}

// What answers say.

export function observe(load: EndpointLoad, latencyMs: number, nowMs: number): void {
  if (load.failures !== 0)
    load.failures = remembered(load.failures, load, nowMs) * (1 - failedShare);
  learn(load, latencyMs, nowMs);
}

/** `answered`: badly; otherwise not at all. */
export function observeFailure(
  load: EndpointLoad,
  latencyMs: number,
  nowMs: number,
  answered: boolean,
): void {
  // To fail fast is not to be quick.
  if (load.ewmaMs > 0 && latencyMs > load.ewmaMs) learn(load, latencyMs, nowMs);
  fail(load, nowMs, answered);
}

/** Its pod said that it goes. What no view of the operator has told yet, its peers know. */
export function leave(load: EndpointLoad, nowMs: number): void {
  load.leavesUntilMs = nowMs + leavingMs;
}

/** Of a request whose answer time was taken in already, or of a connection. */
export function fail(load: EndpointLoad, nowMs: number, answered: boolean): void {
  // What faded while nobody asked was true after all.
  load.failures += (1 - load.failures) * (answered ? failedShare : noAnswerShare);
  load.observedAtMs = Math.max(nowMs, load.observedAtMs);
}

function learn(load: EndpointLoad, latencyMs: number, nowMs: number): void {
  const { ewmaMs, observedAtMs } = load;
  if (ewmaMs === 0) load.ewmaMs = latencyMs;
  else if (latencyMs > ewmaMs) load.ewmaMs += (latencyMs - ewmaMs) * peakShare;
  else {
    const idleMs = Math.max(0, nowMs - observedAtMs);
    load.ewmaMs += (latencyMs - ewmaMs) * (idleMs / (idleMs + decayMs));
  }
  load.observedAtMs = Math.max(nowMs, observedAtMs);
}

/** A hyperbola, not an exponential: it is read for each candidate of each request. */
function remembered(value: number, load: EndpointLoad, nowMs: number): number {
  const idleMs = nowMs - load.observedAtMs;
  return idleMs > 0 ? (value * decayMs) / (decayMs + idleMs) : value;
}

// What a request to it would cost.

/**
 * The time that an answer takes, above 0; while that is not known, how long it has owed one, as a number that is not
 * above 0. An endpoint that owes answers takes at least as long as it has been silent.
 */
export function expectedMs(load: EndpointLoad, nowMs: number): number {
  const silentMs = load.waiting > 0 ? Math.max(0, nowMs - load.waitingSinceMs) : 0;
  if (load.ewmaMs === 0) return -silentMs;
  return Math.max(remembered(load.ewmaMs, load, nowMs), silentMs) + floorMs;
}

/** What its failures multiply the time by; 1: none. */
export function failureWeight(load: EndpointLoad, nowMs: number): number {
  if (load.failures === 0) return 1;
  const failing = remembered(load.failures, load, nowMs);
  return 1 + failureFactor * failing * failing * failing;
}

/** What it gets of a full share of requests while it is new: it grows evenly. */
export function shareOf(load: EndpointLoad, nowMs: number): number {
  const { warmFromMs, warmUntilMs } = load;
  if (nowMs >= warmUntilMs) return 1;
  const grown = Math.max(0, nowMs - warmFromMs) / (warmUntilMs - warmFromMs);
  return firstShare + (1 - firstShare) * grown;
}

/** A time that is not known is taken for as good as the one that it is compared with. */
function timeBeside(ms: number, otherMs: number): number {
  return ms > 0 ? ms : Math.max(-ms, Math.abs(otherMs), floorMs);
}

/** Whether `a` is to be preferred. */
function isBetter(a: EndpointLoad, aMs: number, b: EndpointLoad, bMs: number): boolean {
  const alike = aMs < bMs * alikeFactor && bMs < aMs * alikeFactor;
  if (!alike) return aMs * (a.inFlight + 1) < bMs * (b.inFlight + 1);
  if (a.inFlight !== b.inFlight) return a.inFlight < b.inFlight;
  return a.chosenAtMs < b.chosenAtMs;
}

/**
 * The one with the least to do. `random` gives numbers from 0 up to 1. One of `tried` or one that was ejected is not
 * chosen while there is another. Null: the list is empty.
 */
export function chooseEndpoint(
  endpoints: readonly EndpointHandle[],
  tried: readonly EndpointHandle[],
  random: () => number,
  nowMs: number,
): EndpointHandle | null {
  const count = endpoints.length;
  if (count <= 1) return endpoints[0] ?? null;
  const first = Math.trunc(random() * count);
  const looked = Math.min(count, mostLookedAt);
  let best: EndpointHandle | null = null;
  let bestMs = 0;
  let bestWeight = 1;
  for (let i = 0, at = first; i < looked; i += 1, at = at + 1 === count ? 0 : at + 1) {
    const one = endpoints[at]!;
    const { load } = one;
    if (tried.length > 0 && tried.includes(one)) continue;
    if (nowMs < load.leavesUntilMs) continue;
    if (load.health !== null) {
      if (isOut(load, nowMs)) continue;
      if (isDue(load, nowMs)) return one;
    }
    if (nowMs < load.warmUntilMs && !isTurn(endpoints, at, first, nowMs)) continue;
    const ms = expectedMs(load, nowMs);
    const weight = failureWeight(load, nowMs);
    if (best !== null) {
      const cost = timeBeside(ms, bestMs) * weight;
      if (!isBetter(load, cost, best.load, timeBeside(bestMs, ms) * bestWeight)) continue;
    }
    best = one;
    bestMs = ms;
    bestWeight = weight;
  }
  if (best === null) return bestThatIsLeft(endpoints, first, tried, nowMs);
  if (nowMs < best.load.warmUntilMs) best.load.credit -= 1;
  return best;
}

/** Whether one request more costs that many times as much at `a` as at `b`. */
export function isDearer(a: EndpointLoad, b: EndpointLoad, times: number, nowMs: number): boolean {
  const aMs = expectedMs(a, nowMs);
  const bMs = expectedMs(b, nowMs);
  const aCost = timeBeside(aMs, bMs) * failureWeight(a, nowMs) * (a.inFlight + 1);
  return aCost > times * timeBeside(bMs, aMs) * failureWeight(b, nowMs) * (b.inFlight + 1);
}

/**
 * Whether a new endpoint may be compared with the others: each time that it is looked at it earns its part of one
 * request, by its share beside theirs.
 */
function isTurn(
  endpoints: readonly EndpointHandle[],
  index: number,
  first: number,
  nowMs: number,
): boolean {
  const { load } = endpoints[index]!;
  const looked = Math.min(endpoints.length, mostLookedAt);
  let shares = 0;
  for (let i = 0; i < looked; i += 1)
    shares += shareOf(endpoints[(first + i) % endpoints.length]!.load, nowMs);
  load.credit = Math.min(2, load.credit + shareOf(load, nowMs) / shares);
  return load.credit >= 1;
}

/** From `first` on: not out and not tried, then not out, then not tried, then any. */
export function bestThatIsLeft(
  endpoints: readonly EndpointHandle[],
  first: number,
  tried: readonly EndpointHandle[],
  nowMs: number,
): EndpointHandle {
  let wellButTried: EndpointHandle | null = null;
  let untriedButOut: EndpointHandle | null = null;
  for (let i = 0; i < endpoints.length; i += 1) {
    const one = endpoints[(first + i) % endpoints.length]!;
    const isNew = !tried.includes(one);
    if (!isOut(one.load, nowMs)) {
      if (isNew) return one;
      wellButTried ??= one;
    } else if (isNew) untriedButOut ??= one;
  }
  return wellButTried ?? untriedButOut ?? endpoints[first]!;
}
