// Which endpoint gets the next request: power of two choices over peak EWMA (a slow answer counts at
// once, a fast one is believed slowly). Pure but for the load figures it is given.

import type { EndpointHandle, EndpointLoad } from '../state/prepared.ts';

/** After this long without news two thirds of what was known are forgotten (linkerd2-proxy: 10 s). */
const decayMs = 10_000;
/** An endpoint that could not be reached is as bad as one that takes this long. */
export const failurePenaltyMs = 5_000;

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
 * `random` gives numbers from 0 up to 1. `avoid` is not chosen while there is another. Null: the list is
 * empty.
 */
export function chooseEndpoint(
  endpoints: readonly EndpointHandle[],
  avoid: EndpointHandle | null,
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
  if (a === avoid) return b;
  if (b === avoid) return a;
  return cost(a.load, nowMs) <= cost(b.load, nowMs) ? a : b;
}
