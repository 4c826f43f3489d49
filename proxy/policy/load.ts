// Which endpoint gets the next request: power of two choices over peak EWMA (a slow answer counts at
// once, a fast one is believed slowly). Pure but for the load figures it is given.

import type { EndpointHandle, EndpointLoad } from '../state/prepared.ts';
import { isDue, isOut } from './outlier.ts';

/** After this long without news two thirds of what was known are forgotten (linkerd2-proxy: 10 s). */
const decayMs = 10_000;
/** An endpoint that could not be reached is as bad as one that takes this long. */
export const failurePenaltyMs = 5_000;

export function newLoad(): EndpointLoad {
  return { ewmaMs: 0, observedAtMs: 0, inFlight: 0, health: null };
}

export function observe(load: EndpointLoad, latencyMs: number, nowMs: number): void {
  const known = decayed(load, nowMs);
  const weight = Math.exp(-Math.max(0, nowMs - load.observedAtMs) / decayMs);
  load.ewmaMs = latencyMs > known ? latencyMs : load.ewmaMs * weight + latencyMs * (1 - weight);
  load.observedAtMs = nowMs;
}

function decayed(load: EndpointLoad, nowMs: number): number {
  return load.ewmaMs * Math.exp(-Math.max(0, nowMs - load.observedAtMs) / decayMs);
}

/** Expected time of one more request. An endpoint never heard of is tried, but not by all at once. */
export function cost(load: EndpointLoad, nowMs: number): number {
  const known = decayed(load, nowMs);
  // A floor keeps the number in flight deciding between endpoints that answer in no time.
  return (known + 0.1) * (load.inFlight + 1);
}

/**
 * `random` gives numbers from 0 up to 1. One of `tried` or one that was ejected is not chosen while there is
 * another. Null: the list is empty.
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
  // Uniform among the others, so that two different ones are compared.
  const second = (first + 1 + Math.trunc(random() * (count - 1))) % count;
  const a = endpoints[first]!;
  const b = endpoints[second]!;
  const takesA = !isOut(a.load, nowMs) && !tried.includes(a);
  const takesB = !isOut(b.load, nowMs) && !tried.includes(b);
  if (!takesA && !takesB) return chooseInOrder(endpoints, first, tried, nowMs);
  if (!takesA || !takesB) return takesA ? a : b;
  if (isDue(a.load, nowMs)) return a;
  if (isDue(b.load, nowMs)) return b;
  return cost(a.load, nowMs) <= cost(b.load, nowMs) ? a : b;
}

/** The best that is left, from `first` on: not out and not tried, then not out, then not tried, then any. */
function chooseInOrder(
  endpoints: readonly EndpointHandle[],
  first: number,
  tried: readonly EndpointHandle[],
  nowMs: number,
): EndpointHandle {
  const inOrder = [...endpoints.slice(first), ...endpoints.slice(0, first)];
  const isIn = (one: EndpointHandle): boolean => !isOut(one.load, nowMs);
  const isNew = (one: EndpointHandle): boolean => !tried.includes(one);
  return (
    inOrder.find((one) => isIn(one) && isNew(one)) ??
    inOrder.find(isIn) ??
    inOrder.find(isNew) ??
    inOrder[0]!
  );
}
