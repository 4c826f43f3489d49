// Lifetimes as Mesh `default` sets them, in milliseconds. Pure.

import { parseDuration } from '../resources/duration.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { defaultLifetimeMs, defaultRootLifetimeMs } from './types.ts';

export function workloadLifetimeMs(mesh: Mesh | null): number {
  return lifetime(mesh?.spec.certificates?.workloadLifetime, defaultLifetimeMs);
}

export function rootLifetimeMs(mesh: Mesh | null): number {
  return lifetime(mesh?.spec.certificates?.rootLifetime, defaultRootLifetimeMs);
}

/** The CRD refuses malformed durations; one that came past it counts as absent. */
function lifetime(text: string | undefined, defaultMs: number): number {
  return Math.floor((text === undefined ? null : parseDuration(text)) ?? defaultMs);
}
