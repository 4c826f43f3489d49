// Is all well with the sidecars of a row: the condition Healthy, for people and for `kubectl wait`. Pure.

import type { Verdict } from '../controllers/conditions.ts';
import type { SidecarRow, SidecarState } from './sidecars.ts';

const mostNames = 10;
/** Renewed at two thirds of their lives, certificates never come near their end. */
const soonMs = 3_600_000;

/** The first that is found speaks: the worst comes first. */
const problems: readonly { states: readonly SidecarState[]; reason: string; text: string }[] = [
  { states: ['rejected'], reason: 'Rejected', text: 'refused what they were sent' },
  { states: ['disconnected'], reason: 'Disconnected', text: 'without the operator' },
  { states: ['starting'], reason: 'NotReady', text: 'not ready' },
  { states: ['syncing'], reason: 'OutOfSync', text: 'something is on its way to them' },
];

/** Pods without a sidecar do not count: somebody wanted it so, or will restart them. */
export function healthyVerdict(sidecars: readonly SidecarRow[], nowMs: number): Verdict {
  const type = 'Healthy';
  const ending = sidecars.filter(({ certificateEndMs }) => endsSoon(certificateEndMs, nowMs));
  if (ending.length > 0) {
    const message = `Sidecars whose certificate ends within the hour: ${names(ending)}.`;
    return { type, status: 'False', reason: 'CertificatesEnding', message };
  }
  for (const { states, reason, text } of problems) {
    const found = sidecars.filter(({ state }) => states.includes(state));
    if (found.length === 0) continue;
    return { type, status: 'False', reason, message: `Sidecars, ${text}: ${names(found)}.` };
  }
  const count = sidecars.filter(({ state }) => state === 'synced').length;
  const message = count === 1 ? '1 sidecar is well.' : `${count} sidecars are well.`;
  return { type, status: 'True', reason: 'AllWell', message };
}

export function endsSoon(certificateEndMs: number | null, nowMs: number): boolean {
  return certificateEndMs !== null && certificateEndMs - nowMs < soonMs;
}

function names(rows: readonly SidecarRow[]): string {
  const all = rows.map(({ namespace, pod }) => `${namespace}/${pod}`);
  const shown = all.slice(0, mostNames).join(', ');
  return all.length > mostNames ? `${shown} and ${all.length - mostNames} more` : shown;
}
