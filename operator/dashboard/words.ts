// How the page writes figures: as `kubectl get meshstatus` does, so that the two can be compared. Pure.

import type { TrafficFigures, WorkloadRef } from '../console/api.ts';
import { shareText, timeText, twoDigits } from '../telemetry/columns.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'quiet';

export function rateText(perSecond: number): string {
  return `${twoDigits(perSecond)}/s`;
}

export function successText(success: number | null): string {
  return success === null ? '-' : `${shareText(1 - success)} %`;
}

export function msText(ms: number | null): string {
  return ms === null ? '-' : timeText(ms);
}

export function mtlsText({ mtls }: TrafficFigures): string {
  if (mtls === null) return '-';
  return mtls === 1 ? 'yes' : mtls === 0 ? 'no' : `${shareText(1 - mtls)} %`;
}

/** An alarm is for people who get up at night: one failure in a hundred is one, one in a thousand a hint. */
export function toneOf({ success }: Pick<TrafficFigures, 'success'>): Tone {
  if (success === null) return 'quiet';
  if (success >= 0.999) return 'good';
  return success >= 0.99 ? 'warn' : 'bad';
}

export function idOf({ namespace, kind, name }: WorkloadRef): string {
  return `${namespace}/${kind}/${name}`;
}

/** Where the page of a workload is, and its figures at the console. */
export function pathOf({ namespace, kind, name }: WorkloadRef): string {
  return [namespace, kind, name].map(encodeURIComponent).join('/');
}

/** What happens on an edge or at a workload, in one short line. */
export function summaryOf(figures: TrafficFigures): string {
  const { requestsPerSecond, connectionsPerSecond, success, p99Ms } = figures;
  const parts: string[] = [];
  if (requestsPerSecond > 0 || connectionsPerSecond === 0) parts.push(rateText(requestsPerSecond));
  if (success !== null) parts.push(successText(success));
  if (p99Ms !== null) parts.push(`p99 ${msText(p99Ms)}`);
  if (connectionsPerSecond > 0) parts.push(`${twoDigits(connectionsPerSecond)} TCP/s`);
  return parts.join(' · ');
}
