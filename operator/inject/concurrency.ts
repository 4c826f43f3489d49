// How many event loops a sidecar runs: annotation before Mesh before one, and never more than its memory
// carries. Pure.

import type { Mesh } from '../resources/tsmesh.ts';
import { parseQuantity } from './quantity.ts';
import { leastMemoryBytes, type PodSettings } from './settings.ts';

export interface Concurrency {
  value: number;
  /** For whoever made the pod; null where it is as asked for. */
  warning: string | null;
}

export function wantedConcurrency(settings: PodSettings, mesh: Mesh | null): number {
  return settings.concurrency ?? mesh?.spec.proxy?.concurrency ?? 1;
}

/** `memoryLimit`: what the container gets in the end; undefined: as much as it wants. */
export function fitConcurrency(wanted: number, memoryLimit: string | undefined): Concurrency {
  const bytes = memoryLimit === undefined ? null : parseQuantity(memoryLimit);
  let value = wanted;
  while (bytes !== null && value > 1 && leastMemoryBytes(value) > bytes) value -= 1;
  if (value === wanted) return { value, warning: null };
  const needed = leastMemoryBytes(wanted) / 1024 ** 2;
  const warning =
    `tsmesh: the sidecar runs on ${value} instead of ${wanted} cores: ` +
    `its memory limit is ${memoryLimit}, ${wanted} need ${needed}Mi`;
  return { value, warning };
}
