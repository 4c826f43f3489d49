// For tests only: a sidecar with which nothing is wrong, but for what is given.

import type { SidecarRow } from './sidecars.ts';

export function sidecarRow(given: Partial<SidecarRow> = {}): SidecarRow {
  return {
    namespace: 'shop',
    pod: 'a',
    workload: 'Deployment/a',
    state: 'synced',
    version: '0.1.0',
    replica: 'operator-1',
    connectedAtMs: 0,
    certificateEndMs: null,
    destinations: 0,
    rejections: [],
    ...given,
  };
}
