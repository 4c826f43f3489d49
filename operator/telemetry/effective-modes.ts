// Which mTLS mode holds at which port of which workload, and who decided it: for the namespace rows of
// MeshStatus. Pods of one workload that differ stand apart. Pure.

import type { WorkloadResource } from '../../proxy/api/resources.ts';
import { compareText } from '../model/order.ts';
import { excludeInboundAnnotation } from '../model/pod-entry.ts';
import type { PodEntry } from '../model/view.ts';
import type { PortMode, WorkloadStatus } from '../resources/tsmesh.ts';

/** `inboundOf`: what a pod's sidecar is sent; null for a pod that the view has no more. Sorted by workload. */
export function effectiveModes(
  pods: readonly PodEntry[],
  inboundOf: (pod: PodEntry) => WorkloadResource['inbound'] | null,
): WorkloadStatus[] {
  const found = new Map<string, WorkloadStatus>();
  for (const pod of pods) {
    const inbound = inboundOf(pod);
    if (inbound === null) continue;
    const ports = portModes(pod, inbound);
    const key = `${pod.workload} ${JSON.stringify(ports)}`;
    const one = found.get(key) ?? { workload: pod.workload, pods: 0, ready: 0, ports };
    one.pods += 1;
    if (pod.proxyReady) one.ready += 1;
    found.set(key, one);
  }
  return [...found].toSorted(([a], [b]) => compareText(a, b)).map(([, one]) => one);
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
