// From objects of files, of a live cluster, or of files laid over a live cluster, to the view that the
// operator translates from. Pure.

import { createModel } from '../model/model.ts';
import { podEntry } from '../model/pod-entry.ts';
import { keyOf, type PodEntry, type View } from '../model/view.ts';
import type { Kind } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type {
  EndpointSlice,
  KubeObject,
  Namespace,
  Pod,
  Service,
} from '../resources/kubernetes.ts';
import { addressServices, expandPods, ownerOf, servicesTaking, slicesOf } from './files/expand.ts';
import type { FileObject } from './objects.ts';

/** What was read of a cluster, by kind. */
export type LiveObjects = ReadonlyMap<Kind, readonly KubeObject[]>;

export interface Cluster {
  view: View;
  /** Pods as they are, by key: what the view leaves out. */
  pods: ReadonlyMap<string, Pod>;
  /** What an answer from this cannot know, in words. */
  notes: string[];
}

/** Kinds that the view takes from files as they are. */
const policyKinds: readonly string[] = [
  'Mesh',
  'PeerAuthentication',
  'TrafficPolicy',
  'AuthorizationPolicy',
];
/** Of an object that is not in the cluster yet: younger than whatever is (times sort as text). */
const notYetCreated = '9999-12-31T23:59:59Z';

/** `live` null: files alone. */
export function clusterOf(
  files: readonly FileObject[],
  live: LiveObjects | null,
  clock: Clock,
): Cluster {
  const of = <T extends KubeObject>(kind: Kind): T[] => [...((live?.get(kind) ?? []) as T[])];
  const namespaces = overlay(of<Namespace>('Namespace'), filesOf(files, 'Namespace'));
  const byName = new Map(namespaces.map((one) => [one.metadata.name, one]));
  const { pods: filePods, notes } = expandPods(files, byName);
  const livePods = of<Pod>('Pod');
  const pods = [...replaceWorkloads(livePods, filePods), ...filePods];
  const fileServices = filesOf<Service>(files, 'Service');
  const services = addressServices(overlay(of<Service>('Service'), fileServices));
  const slices = overlaySlices(of<EndpointSlice>('EndpointSlice'), {
    services,
    pods,
    changedPods: [...filePods, ...replacedPods(livePods, filePods)],
    changedServices: new Set(fileServices.map(keyOf)),
  });
  const model = createModel({
    clock: {
      nowMs: () => clock.nowMs(),
      wallTimeMs: () => clock.wallTimeMs(),
      after: () => ({ cancel: () => undefined }),
    },
  });
  const put = (kind: Kind, objects: readonly KubeObject[]): void => {
    for (const object of objects) model.upsert(kind, object);
  };
  put('Namespace', namespaces);
  put('Pod', pods);
  put('Service', services);
  put('EndpointSlice', slices);
  for (const kind of policyKinds as Kind[]) put(kind, overlay(of(kind), filesOf(files, kind)));
  model.flush();
  return { view: model.view(), pods: new Map(pods.map((pod) => [keyOf(pod), pod])), notes };
}

function filesOf<T extends KubeObject>(files: readonly FileObject[], kind: string): T[] {
  return files.filter((one) => one.kind === kind).map((one) => one.object as T);
}

/** Files in place of live objects of the same name; age and uid stay, as they would when applied. */
function overlay<T extends KubeObject>(live: readonly T[], files: readonly T[]): T[] {
  const byKey = new Map(live.map((one) => [keyOf(one), one]));
  for (const file of files) {
    const before = byKey.get(keyOf(file));
    byKey.set(keyOf(file), { ...file, metadata: metadataOver(before, file) });
  }
  return [...byKey.values()];
}

function metadataOver(before: KubeObject | undefined, file: KubeObject): KubeObject['metadata'] {
  const { metadata } = file;
  if (before === undefined) return { creationTimestamp: notYetCreated, generation: 1, ...metadata };
  const { uid, creationTimestamp, generation, annotations } = before.metadata;
  const kept = { uid, creationTimestamp, generation } as Partial<KubeObject['metadata']>;
  // Namespaces are annotated by hand, which an apply leaves as it is; of policies the file is the whole.
  const merged =
    file.kind === 'Namespace' ? { ...annotations, ...metadata.annotations } : metadata.annotations;
  return { ...metadata, ...kept, ...(merged === undefined ? {} : { annotations: merged }) };
}

export function workloadKey(pod: PodEntry): string {
  return `${pod.namespace}/${pod.workload}`;
}

function workloadsOf(pods: readonly Pod[]): Set<string> {
  return new Set(pods.map((pod) => workloadKey(podEntry(pod))));
}

/** The live pods that are left when files bring their workloads anew. */
function replaceWorkloads(live: readonly Pod[], files: readonly Pod[]): Pod[] {
  const replaced = workloadsOf(files);
  return live.filter((pod) => !replaced.has(workloadKey(podEntry(pod))));
}

function replacedPods(live: readonly Pod[], files: readonly Pod[]): Pod[] {
  const replaced = workloadsOf(files);
  return live.filter((pod) => replaced.has(workloadKey(podEntry(pod))));
}

interface Changed {
  services: readonly Service[];
  pods: readonly Pod[];
  changedPods: readonly Pod[];
  changedServices: ReadonlySet<string>;
}

/** Slices of Services that files touch are made anew from the pods; others stay as Kubernetes made them. */
function overlaySlices(live: readonly EndpointSlice[], changed: Changed): EndpointSlice[] {
  const { services, pods, changedPods, changedServices } = changed;
  const touched = servicesTaking(services, changedPods.map(podEntry));
  const anew = (key: string): boolean => touched.has(key) || changedServices.has(key);
  const kept = live.filter((slice) => !anew(ownerOf(slice)));
  return [
    ...kept,
    ...slicesOf(
      services.filter((one) => anew(keyOf(one))),
      pods,
    ),
  ];
}
