// Whether pods redirect their traffic to their sidecars, and by which backend of iptables: tsmesh-init says so when it ends. Pure.

import { containerNames } from '../../../proxy/api/constants.ts';
import type { Pod } from '../../resources/kubernetes.ts';
import { counted } from '../describe/units.ts';
import type { Facts } from './facts.ts';
import { mostNames, ok, unread, type Finding } from './finding.ts';

export function capture({ pods }: Facts): Finding[] {
  const check = 'capture';
  if (!('value' in pods)) {
    return [unread(check, 'the pods', 'unread' in pods ? pods.unread : 'no answer')];
  }
  const failed = pods.value.flatMap((pod) => {
    const why = initFailure(pod);
    return why === null ? [] : [{ pod, why }];
  });
  if (failed.length === 0) return [ok(check, backendWords(pods.value))];
  return failed.slice(0, mostNames).map(({ pod, why }) => ({
    check,
    level: 'error' as const,
    text: `pod ${pod.metadata.namespace}/${pod.metadata.name}: ${why}`,
    remedy: captureRemedy(pod, why),
  }));
}

/** Both backends of iptables were tried by then: what each said stands in the reason. */
function captureRemedy({ metadata, spec }: Pod, why: string): string {
  const logs = `kubectl logs -n ${metadata.namespace} ${metadata.name} -c ${containerNames.init}`;
  if (!why.includes('captured')) return logs;
  const node = spec.nodeName === undefined ? 'the node' : `node ${spec.nodeName}`;
  return `load nf_tables and nft_redir, or iptable_nat and xt_REDIRECT, on ${node}; ${logs}`;
}

/** `5 pods redirect by iptables nft`; the kernel of the node decides which backend works. */
function backendWords(pods: readonly Pod[]): string {
  const told = pods.flatMap((pod) => {
    const by = backendOf(pod);
    return by === null ? [] : [by];
  });
  const groups = [...Map.groupBy(told, (by) => by)].map(
    ([by, some]) => `${counted(some.length, 'pod')} by iptables ${by}`,
  );
  return groups.length === 0
    ? 'no pod failed to redirect its traffic'
    : `traffic is redirected: ${groups.join(', ')}`;
}

/** What tsmesh-init says when it ends well: `ipv4 captured with iptables (nft); …`. Null: it has not run, or is of an older version. */
export function backendOf(pod: Pod): string | null {
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return null;
  const { exitCode, message = '' } = endOf(pod) ?? {};
  if (exitCode !== 0) return null;
  const found = [...message.matchAll(/captured with iptables \((\w+)\)/g)].map(([, name]) => name!);
  return found.length === 0 ? null : [...new Set(found)].join(' and ');
}

interface ContainerState {
  terminated?: { exitCode: number; message?: string };
}

function initFailure(pod: Pod): string | null {
  const ended = endOf(pod);
  if (ended === undefined || ended.exitCode === 0) return null;
  return ended.message?.trim() || `${containerNames.init} ended with ${ended.exitCode}`;
}

function endOf(pod: Pod): ContainerState['terminated'] {
  const statuses = pod.status?.initContainerStatuses as
    { name: string; state?: ContainerState; lastState?: ContainerState }[] | undefined;
  const init = statuses?.find(({ name }) => name === containerNames.init);
  return init?.state?.terminated ?? init?.lastState?.terminated;
}
