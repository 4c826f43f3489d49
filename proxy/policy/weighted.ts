// Picks one of several weighted backends. Pure: the random number is an argument.

import type { PreparedBackend, PreparedBackends } from '../state/prepared.ts';

/** `random` from 0 up to 1. Null: no backend, or all of weight 0. */
export function pickWeighted(backends: PreparedBackends, random: number): PreparedBackend | null {
  if (backends.totalWeight === 0) return null;
  let left = random * backends.totalWeight;
  for (const backend of backends.list) {
    left -= backend.weight;
    if (left < 0) return backend;
  }
  return null;
}
