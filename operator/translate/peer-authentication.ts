// Which mTLS mode holds at a port of a pod: port before workload before namespace before mesh, UNSET
// asks the level above, and at one level the oldest PeerAuthentication speaks alone.

import type { MtlsMode } from '../../proxy/api/resources.ts';
import type { PodEntry, View } from '../model/view.ts';
import type { PeerAuthentication } from '../resources/tsmesh.ts';
import { matchesLabels } from './protocol.ts';
import { shapedBy } from './translated.ts';
import type { ShapedBy } from './translated.ts';

export interface ModeDecision {
  mode: MtlsMode;
  /** `PeerAuthentication shop/strict` or `Mesh default`. */
  decidedBy: string;
  /** Who decided; null for the Mesh. */
  policy: PeerAuthentication | null;
}

/** The policies that speak for a pod, one at most per level. */
export interface Speakers {
  workload: PeerAuthentication | null;
  namespace: PeerAuthentication | null;
}

export const defaultMode: MtlsMode = 'PERMISSIVE';

export function isNamespaceWide(policy: PeerAuthentication): boolean {
  return Object.keys(selectorOf(policy)).length === 0;
}

export function selectsPod(policy: PeerAuthentication, pod: PodEntry): boolean {
  return matchesLabels(selectorOf(policy), pod.labels);
}

function selectorOf(policy: PeerAuthentication): Record<string, string> {
  return policy.spec.selector?.matchLabels ?? {};
}

export function speakersFor(view: View, pod: PodEntry): Speakers {
  const policies = view.peerAuthentications.get(pod.namespace) ?? [];
  return {
    workload: policies.find((one) => !isNamespaceWide(one) && selectsPod(one, pod)) ?? null,
    namespace: policies.find(isNamespaceWide) ?? null,
  };
}

/** `port` null: what holds at every port that no policy names. */
export function modeAt(view: View, speakers: Speakers, port: number | null): ModeDecision {
  const { workload, namespace } = speakers;
  const name = port === null ? '' : String(port);
  const claims: [PeerAuthentication | null, string | undefined][] = [
    [workload, workload?.spec.portLevelMtls?.[name]?.mode],
    [namespace, namespace?.spec.portLevelMtls?.[name]?.mode],
    [workload, workload?.spec.mtls?.mode],
    [namespace, namespace?.spec.mtls?.mode],
  ];
  for (const [policy, mode] of claims) {
    if (policy === null || mode === undefined || mode === 'UNSET') continue;
    const { namespace: where, name: called } = policy.metadata;
    const decidedBy = `PeerAuthentication ${where}/${called}`;
    return { mode: mode as MtlsMode, decidedBy, policy };
  }
  const mode = view.mesh?.spec.mtls?.mode ?? defaultMode;
  return { mode, decidedBy: 'Mesh default', policy: null };
}

/** Ports that the speakers name. */
export function namedPorts(speakers: Speakers): number[] {
  return [speakers.workload, speakers.namespace].flatMap((policy) =>
    Object.keys(policy?.spec.portLevelMtls ?? {}).map(Number),
  );
}

export function speakerRefs(speakers: Speakers): ShapedBy[] {
  return [speakers.workload, speakers.namespace].flatMap((policy) =>
    policy === null ? [] : [shapedBy('PeerAuthentication', policy)],
  );
}
