// What routes can ask of their caller, as its own sidecar is told: labels and zone of the pod. Pure.

import { labelKey } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import { shapedBy } from './translated.ts';
import type { ShapedBy } from './translated.ts';

/** Set on pods by API servers from 1.35 on (PodTopologyLabels), and on nodes by all. */
const zoneLabel = 'topology.kubernetes.io/zone';

/**
 * Only labels that some policy asks for: the others (hashes, versions, whatever tools write) would be sent
 * for nothing. Null where there are none.
 */
export function sourceLabels(view: View, pod: PodEntry): Record<string, string> | null {
  const asked = Object.entries(pod.labels).filter((label) =>
    view.sourceLabels.has(labelKey(label)),
  );
  return asked.length === 0 ? null : Object.fromEntries(asked);
}

/** A policy is in force where its callers know what it asks of them. */
export function sourceLabelRefs(view: View, pod: PodEntry): ShapedBy[] {
  return Object.entries(pod.labels)
    .flatMap((label) => view.sourceLabels.get(labelKey(label)) ?? [])
    .map((policy) => shapedBy('TrafficPolicy', policy));
}

/** Of its node, which any EndpointSlice that leads there names; empty where none does. */
export function zoneOf(view: View, pod: PodEntry): string {
  return pod.labels[zoneLabel] ?? view.zones.get(pod.nodeName) ?? '';
}
