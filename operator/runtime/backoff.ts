// How long to wait before the next try. Pure: randomness comes in as a number.

export interface BackoffSettings {
  baseMs: number;
  maxMs: number;
}

/**
 * Milliseconds before try `failures + 1`: doubles from `baseMs` up to `maxMs`, of which a random half
 * is kept ("equal jitter": never near zero, and replicas do not march in step).
 * @param random from 0 to below 1
 */
export function backoffMs(settings: BackoffSettings, failures: number, random: number): number {
  const doublings = Math.min(Math.max(failures - 1, 0), 30);
  const full = Math.min(settings.maxMs, settings.baseMs * 2 ** doublings);
  return full / 2 + (full / 2) * random;
}
