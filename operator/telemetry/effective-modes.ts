// Which mTLS mode holds at which port of which workload, and who decided it: for the namespace rows of
// MeshStatus. Pods of one workload that differ stand apart. Pure.

import type { WorkloadResource } from '../../proxy/api/resources.ts';
import { compareText } from '../model/order.ts';
import { excludeInboundAnnotation } from '../model/pod-entry.ts';
import type { PodEntry } from '../model/view.ts';
import type { PortMode, WorkloadModes } from '../resources/tsmesh.ts';

export interface EffectiveModes {
  workloads: WorkloadModes[];
  /** Those that did not fit. */
  omitted: number;
}

/** Some 300 workloads. The row is written every few seconds while there is traffic, the list with it. */
const maxBytes = 64 << 10;

/** `inboundOf`: what a pod's sidecar is sent; null for a pod that the view has no more. */
export function effectiveModes(
  pods: readonly PodEntry[],
  inboundOf: (pod: PodEntry) => WorkloadResource['inbound'] | null,
): EffectiveModes {
  const found = new Map<string, WorkloadModes>();
  for (const pod of pods) {
    const inbound = inboundOf(pod);
    if (inbound === null) continue;
    const ports = portModes(pod, inbound);
    const key = `${pod.workload} ${JSON.stringify(ports)}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { workload: pod.workload, pods: 1, ports });
    else known.pods += 1;
  }
  const all = [...found].toSorted(([a], [b]) => compareText(a, b)).map(([, modes]) => modes);
  return bounded(all);
}

function portModes(pod: PodEntry, inbound: WorkloadResource['inbound']): PortMode[] {
  const excluded = new Set(pod.excludedInboundPorts.map(String));
  const numbers = new Set([...Object.keys(inbound.ports), ...excluded]);
  const named = [...numbers].toSorted((a, b) => Number(a) - Number(b));
  const ports = named.map((port): PortMode => {
    if (excluded.has(port)) {
      return { port, mode: 'NotCaptured', decidedBy: `annotation ${excludeInboundAnnotation}` };
    }
    const { mtls, decidedBy } = inbound.ports[port]!;
    return { port, mode: mtls, decidedBy };
  });
  const { mtls, decidedBy } = inbound.other;
  return [...ports, { port: 'other', mode: mtls, decidedBy }];
}

function bounded(all: readonly WorkloadModes[]): EffectiveModes {
  const workloads: WorkloadModes[] = [];
  let bytes = 0;
  for (const modes of all) {
    bytes += Buffer.byteLength(JSON.stringify(modes));
    if (bytes > maxBytes) break;
    workloads.push(modes);
  }
  return { workloads, omitted: all.length - workloads.length };
}
