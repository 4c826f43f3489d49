// From manifests to what a cluster would make of them: workloads become one pod each, injected where the
// operator would inject; Services get addresses, and slices with the pods behind them. Pure.

import { judgeWish } from '../../inject/eligibility.ts';
import { injectedLabel, podEntry } from '../../model/pod-entry.ts';
import { keyOf, objectKey, tcpPorts } from '../../model/view.ts';
import type { PodEntry } from '../../model/view.ts';
import type {
  EndpointSlice,
  KubeObject,
  Namespace,
  Pod,
  Service,
} from '../../resources/kubernetes.ts';
import { matchesLabels, targetPort } from '../../translate/protocol.ts';
import type { FileObject } from '../objects.ts';

interface PodTemplate {
  metadata?: Partial<Pod['metadata']>;
  spec: Pod['spec'];
}

interface Workload extends KubeObject {
  spec: { template?: PodTemplate; jobTemplate?: { spec: { template: PodTemplate } } };
}

const workloadKinds: readonly string[] = [
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'CronJob',
];

/** RFC 2544 §C.2.2: never the addresses of anything real. The first half for pods, the second for Services. */
const podNetwork = '198.18';
const serviceNetwork = '198.19';
/** So it can be said of an answer that an address in it is invented. */
export function isInvented(address: string): boolean {
  return address.startsWith(`${podNetwork}.`) || address.startsWith(`${serviceNetwork}.`);
}

function addressAt(network: string, index: number): string {
  return `${network}.${Math.floor(index / 250)}.${(index % 250) + 1}`;
}

export interface ExpandedPods {
  pods: Pod[];
  notes: string[];
}

/** `namespaces`: those that are known; pods of others are taken as meshed, with a note. */
export function expandPods(
  objects: readonly FileObject[],
  namespaces: ReadonlyMap<string, Namespace>,
): ExpandedPods {
  const notes = new Set<string>();
  const pods = objects.flatMap(podsOf).map((pod, index) => {
    const { namespace = '' } = pod.metadata;
    const known = namespaces.get(namespace);
    if (known === undefined) notes.add(unknownNamespace(namespace));
    const verdict = judgeWish(pod, known ?? meshedNamespace(namespace));
    if (verdict.verdict === 'refuse') notes.add(`pod ${keyOf(pod)} is refused: ${verdict.message}`);
    return running(pod, verdict.verdict === 'inject', addressAt(podNetwork, index));
  });
  return { pods, notes: [...notes] };
}

function unknownNamespace(name: string): string {
  return `Namespace ${name} is not in the files: its pods are taken as meshed`;
}

function meshedNamespace(name: string): Namespace {
  return { metadata: { name, annotations: { 'tsmesh.dev/inject': 'enabled' } } };
}

/** What the pods of a workload are made of; null for other kinds. */
export function templateOf({ kind, object }: FileObject): PodTemplate | null {
  if (!workloadKinds.includes(kind)) return null;
  const { template, jobTemplate } = (object as Workload).spec;
  return template ?? jobTemplate!.spec.template;
}

function podsOf(file: FileObject): Pod[] {
  const { kind, object } = file;
  if (kind === 'Pod') return [withAccount(object as Pod)];
  const made = templateOf(file);
  if (made === null) return [];
  const { name, namespace } = object.metadata;
  const { metadata = {}, spec } = made;
  const owner = { apiVersion: object.apiVersion ?? '', kind, name, uid: '', controller: true };
  // One pod stands for all copies. Its name is no name of Kubernetes, so that it meets no other.
  const own = { name: `${kind}:${name}`, namespace: namespace ?? '', ownerReferences: [owner] };
  return [withAccount({ metadata: { ...metadata, ...own }, spec })];
}

/** `serviceAccount` is the old name of the field, which the API server still takes. */
function withAccount(pod: Pod): Pod {
  const { serviceAccountName, serviceAccount } = pod.spec;
  if (serviceAccountName !== undefined || typeof serviceAccount !== 'string') return pod;
  return { ...pod, spec: { ...pod.spec, serviceAccountName: serviceAccount } };
}

/** As the pod stands in the cluster when all went well; an address that it brought along stays. */
function running(pod: Pod, meshed: boolean, address: string): Pod {
  const already = pod.metadata.labels?.[injectedLabel] === 'true';
  const injected: Record<string, string> = meshed || already ? { [injectedLabel]: 'true' } : {};
  const podIP = pod.status?.podIP ?? address;
  return {
    ...pod,
    metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, ...injected } },
    status: {
      phase: 'Running',
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

/** With a cluster address where the manifest has none; a headless Service stays headless. */
export function addressServices(services: readonly Service[]): Service[] {
  return services.map((service, index) => {
    const { clusterIP, type } = service.spec;
    if ((clusterIP ?? '') !== '' || type === 'ExternalName') return service;
    const address = addressAt(serviceNetwork, index);
    return { ...service, spec: { ...service.spec, clusterIP: address, clusterIPs: [address] } };
  });
}

/** The slices that Kubernetes would make of these Services and pods; none where there is no selector. */
export function slicesOf(services: readonly Service[], pods: readonly Pod[]): EndpointSlice[] {
  const entries = pods.map(podEntry).filter((pod) => pod.ready && !pod.terminating);
  return services.flatMap((service) => {
    const selector = service.spec.selector ?? {};
    if (Object.keys(selector).length === 0) return [];
    const selected = entries.filter(
      (pod) => pod.namespace === service.metadata.namespace && matchesLabels(selector, pod.labels),
    );
    return selected.flatMap((pod) => podSlices(service, pod));
  });
}

/** One slice per pod and family: pods can differ in the number of a named port. */
function podSlices(service: Service, pod: PodEntry): EndpointSlice[] {
  const { name, namespace = '' } = service.metadata;
  const ports = tcpPorts(service).flatMap((port) => {
    const number = targetPort(port, pod);
    return number === null ? [] : [{ name: port.name ?? '', port: number, protocol: 'TCP' }];
  });
  return pod.ips.map((ip) => ({
    metadata: {
      name: `${name}-${pod.name}-${ip}`,
      namespace,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: ip.includes(':') ? 'IPv6' : 'IPv4',
    ports,
    endpoints: [{ addresses: [ip], targetRef: { kind: 'Pod', name: pod.name, namespace } }],
  }));
}

/** Services whose selector takes a pod of these, by key: their live slices no longer hold. */
export function servicesTaking(
  services: readonly Service[],
  pods: readonly { namespace: string; labels: Readonly<Record<string, string>> }[],
): Set<string> {
  const taken = services.filter(({ metadata, spec }) => {
    const selector = spec.selector ?? {};
    if (Object.keys(selector).length === 0) return false;
    return pods.some(
      (pod) => pod.namespace === metadata.namespace && matchesLabels(selector, pod.labels),
    );
  });
  return new Set(taken.map(keyOf));
}

/** Of a slice, the Service it belongs to. */
export function ownerOf(slice: EndpointSlice): string {
  const name = slice.metadata.labels?.['kubernetes.io/service-name'] ?? '';
  return objectKey(slice.metadata.namespace ?? '', name);
}
