// What `kubectl get meshstatus` prints: short words made of the exact figures below them in the row. Pure.

import type { TrafficFigures } from '../console/api.ts';
import type { MeshStatusColumns } from '../resources/tsmesh.ts';
import type { SidecarRow } from './sidecars.ts';

export interface ColumnInputs {
  sidecars: readonly SidecarRow[];
  wanted: number;
  inSync: number;
  nearestExpiryMs: number | null;
  nowMs: number;
  figures: Pick<TrafficFigures, 'requestsPerSecond' | 'success' | 'p99Ms' | 'mtls'>;
  /** Policies with one. */
  problems: number;
}

export function columnsOf(inputs: ColumnInputs): MeshStatusColumns {
  const { sidecars, nearestExpiryMs, nowMs } = inputs;
  const { requestsPerSecond, success, p99Ms, mtls } = inputs.figures;
  const versions = new Set(sidecars.map(({ version }) => version).filter((one) => one !== ''));
  return {
    synced: `${inputs.inSync}/${inputs.wanted}`,
    mtls: mtls === null ? '-' : shareText(1 - mtls),
    certificates: nearestExpiryMs === null ? '-' : spanText(nearestExpiryMs - nowMs),
    requestRate: twoDigits(requestsPerSecond),
    success: success === null ? '-' : shareText(1 - success),
    p99: p99Ms === null ? '-' : timeText(p99Ms),
    versions: [...versions].toSorted().join(',') || '-',
    rejecting: sidecars.filter(({ state }) => state === 'rejected').length,
    skipped: sidecars.filter(({ state }) => state === 'none').length,
    problems: inputs.problems,
  };
}

/** Two significant digits: 1234 → 1200, 12.34 → 12, 0.1234 → 0.12. */
export function twoDigits(value: number): string {
  if (value === 0) return '0';
  return String(Number(value.toPrecision(2)));
}

/**
 * Percent of what is good, from the share of what is not: that has the two digits, and is rounded up, so that no failure is rounded
 * away: 99.95, 99, 0.
 */
export function shareText(bad: number): string {
  if (bad <= 0) return '100';
  const percent = bad * 100;
  const digits = Math.max(0, 1 - Math.floor(Math.log10(percent)));
  const step = 10 ** -Math.min(digits, 3);
  const shown = Math.min(100, Math.ceil(percent / step - 1e-9) * step);
  return String(Number((100 - shown).toFixed(3)));
}

export function timeText(ms: number): string {
  return ms >= 1000 ? `${twoDigits(ms / 1000)}s` : `${twoDigits(ms)}ms`;
}

/** A string: kubectl prints no time that is still to come. Hours down to two, minutes below. */
function spanText(ms: number): string {
  if (ms <= 0) return 'ended';
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 72 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
