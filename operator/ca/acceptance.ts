// Whether the user allows a new root now. Pure.

import type { Mesh } from '../resources/tsmesh.ts';
import { backdateMs, newRootAnnotation } from './types.ts';

const acceptanceMs = 3_600_000;

/** When the user said so, as Unix milliseconds; null where nobody did within the last hour. */
export function newRootAcceptedAt(mesh: Mesh | null, nowMs: number): number | null {
  const saidMs = Date.parse(mesh?.metadata.annotations?.[newRootAnnotation] ?? '');
  const ageMs = nowMs - saidMs;
  // The user's clock may be ahead of ours.
  return ageMs <= acceptanceMs && ageMs >= -backdateMs ? saidMs : null;
}
