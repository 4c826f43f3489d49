// From a Pod of Kubernetes to the part of it that the mesh decides by. Pure.

import { containerNames } from '../../proxy/api/constants.ts';
import { accessLogWish } from '../resources/access-log.ts';
import type { Container, Pod } from '../resources/kubernetes.ts';
import { canonicalAddress } from './addresses.ts';
import { objectKey } from './view.ts';
import type { PodEntry } from './view.ts';

/** Set by injection on the pods it changed. */
export const injectedLabel = 'tsmesh.dev/injected';
/** Set by the user, checked by injection: comma-separated pod ports. */
export const excludeInboundAnnotation = 'tsmesh.dev/exclude-inbound-ports';

export function podEntry(pod: Pod): PodEntry {
  const { name, labels = {} } = pod.metadata;
  const namespace = pod.metadata.namespace ?? '';
  const alive = pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
  const hostNetwork = pod.spec.hostNetwork === true;
  const accessLog = accessLogWish(pod.metadata.annotations);
  return {
    key: objectKey(namespace, name),
    namespace,
    name,
    uid: pod.metadata.uid ?? '',
    labels,
    serviceAccount: pod.spec.serviceAccountName ?? 'default',
    ips: alive ? podIps(pod) : [],
    hostNetwork,
    meshed: labels[injectedLabel] === 'true' && !hostNetwork,
    ready: hasCondition(pod, 'Ready'),
    proxyReady: isProxyReady(pod),
    alive,
    terminating: pod.metadata.deletionTimestamp !== undefined,
    containerPorts: containerPorts(pod),
    excludedInboundPorts: excludedPorts(pod),
    ...(accessLog === null ? {} : { accessLog }),
    workload: workloadName(pod),
    nodeName: pod.spec.nodeName ?? '',
  };
}

function podIps(pod: Pod): string[] {
  const listed = (pod.status?.podIPs ?? []).map((entry) => entry.ip);
  const single = pod.status?.podIP;
  const all = listed.length > 0 || single === undefined ? listed : [single];
  return all.map(canonicalAddress);
}

function hasCondition(pod: Pod, type: string): boolean {
  const conditions = pod.status?.conditions ?? [];
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
}

function isProxyReady(pod: Pod): boolean {
  const statuses = pod.status?.initContainerStatuses ?? [];
  return statuses.some((status) => status.name === containerNames.proxy && status.ready);
}

function containerPorts(pod: Pod): { name: string; port: number }[] {
  const sidecars = (pod.spec.initContainers ?? []).filter((one) => one.restartPolicy === 'Always');
  return [...pod.spec.containers, ...sidecars]
    .filter((container) => container.name !== containerNames.proxy)
    .flatMap(tcpPorts);
}

function tcpPorts(container: Container): { name: string; port: number }[] {
  return (container.ports ?? [])
    .filter((port) => (port.protocol ?? 'TCP') === 'TCP')
    .map((port) => ({ name: port.name ?? '', port: port.containerPort }));
}

function excludedPorts(pod: Pod): number[] {
  const text = pod.metadata.annotations?.[excludeInboundAnnotation] ?? '';
  return text
    .split(',')
    .map((part) => Number(part.trim()))
    .filter((port) => Number.isInteger(port) && port > 0);
}

/** All ReplicaSets of a Deployment are one workload: their names without the hash of the template. */
function workloadName(pod: Pod): string {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (owner === undefined) return `Pod/${pod.metadata.name}`;
  const hash = pod.metadata.labels?.['pod-template-hash'];
  const suffix = `-${hash ?? ''}`;
  const ofDeployment =
    owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(suffix);
  if (ofDeployment) return `Deployment/${owner.name.slice(0, -suffix.length)}`;
  return `${owner.kind}/${owner.name}`;
}
