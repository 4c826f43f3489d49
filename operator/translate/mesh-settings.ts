// The Mesh with its defaults filled in, as translation uses it: also right where there is no Mesh yet.
// A value that does not parse counts as absent; findings.ts says so in the status.

import type { View } from '../model/view.ts';
import { parseDuration } from '../resources/duration.ts';
import { shapedBy } from './translated.ts';
import type { ShapedBy } from './translated.ts';

export const defaultTrustDomain = 'cluster.local';
const defaultStatisticsIntervalMs = 3000;

export function trustDomainOf(view: View): string {
  return view.mesh?.spec.trustDomain ?? defaultTrustDomain;
}

export function statisticsIntervalMs(view: View): number {
  const interval = view.mesh?.spec.proxy?.statisticsInterval;
  const parsed = interval === undefined ? null : parseDuration(interval);
  return parsed === null ? defaultStatisticsIntervalMs : Math.max(parsed, 100);
}

export function meshRefs(view: View): ShapedBy[] {
  return view.mesh === null ? [] : [shapedBy('Mesh', view.mesh)];
}
