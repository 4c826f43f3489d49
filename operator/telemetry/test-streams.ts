// For tests only: what sidecars report, written shortly.

import { noTraffic, type Statistics, type TrafficCounters } from '../../proxy/api/statistics.ts';
import type { StreamState } from '../discovery/stream-state.ts';

export const startMs = 1_800_000_000_000;

export function counters(given: Partial<TrafficCounters> = {}): TrafficCounters {
  return { ...noTraffic(), ...given };
}

/** `name` is NAMESPACE/POD, as model/test-objects.ts makes pods. */
export function stream(
  name: string,
  atMs: number,
  inbound: Partial<TrafficCounters>,
  more: Partial<Statistics> = {},
): StreamState {
  const statistics: Statistics = {
    startedAtMs: startMs,
    inbound: counters(inbound),
    outbound: counters(),
    certificate: null,
    ...more,
  };
  const [namespace = '', podName = ''] = name.split('/');
  return {
    pod: { namespace, name: podName, uid: `uid-pod-${namespace}-${podName}` },
    replica: 'operator-1',
    connectedAtMs: 0,
    proxyVersion: '1',
    draining: false,
    subscriptions: [],
    resources: [],
    statistics,
    statisticsAtMs: atMs,
  };
}
