// What applying files would make of a cluster's objects: which are new, which change, and the views before and after. As in
// `explain --live`, but that workloads keep the pods they have, made anew from the template. Pure.

import { injectedLabel, podEntry } from '../../model/pod-entry.ts';
import { keyOf, type View } from '../../model/view.ts';
import type { Kind } from '../../resources/api-client.ts';
import type { Clock } from '../../resources/clock.ts';
import type { KubeObject, Pod } from '../../resources/kubernetes.ts';
import { originText, type FileObject } from '../objects.ts';
import { clusterOf, type LiveObjects } from '../world-view.ts';
import { changeText, fieldChanges, isWithin } from './fields.ts';
import { templateOf } from '../files/expand.ts';

export type ObjectState = 'new' | 'changed' | 'unchanged' | 'deleted';

export interface ObjectChange {
  kind: string;
  /** Empty for cluster-scoped kinds. */
  namespace: string;
  name: string;
  state: ObjectState;
  /** `spec.mtls.mode: "PERMISSIVE" → "STRICT"`; of what changed only. */
  fields: string[];
  /** `policies/cart.yaml:2`. */
  file: string;
}

export interface Plan {
  objects: ObjectChange[];
  before: View;
  after: View;
  notes: string[];
}

const ownKinds: ReadonlySet<string> = new Set([
  'Mesh',
  'PeerAuthentication',
  'TrafficPolicy',
  'AuthorizationPolicy',
]);

interface Judged {
  file: FileObject;
  change: ObjectChange;
  /** What stands for it in the view after; empty where nothing changes. */
  takes: FileObject[];
}

export function planOf(
  files: readonly FileObject[],
  live: LiveObjects,
  how: { clock: Clock; remove: boolean },
): Plan {
  const before = clusterOf([], live, how.clock);
  const judged = files.map((file) =>
    how.remove ? judgeRemoval(file, live) : judgeFile(file, live),
  );
  const changed = new Set(judged.filter(({ change }) => change.state !== 'unchanged').map(nameOf));
  const taken = how.remove ? [] : judged.flatMap(({ takes }) => takes);
  const later = how.remove ? without(live, changed) : nextGeneration(live, changed);
  const after = clusterOf(taken, later, how.clock);
  return {
    objects: judged.map(({ change }) => change),
    before: before.view,
    after: after.view,
    notes: after.notes.filter((note) => !before.notes.includes(note)),
  };
}

function nameOf({ change: { kind, namespace, name } }: Pick<Judged, 'change'>): string {
  return `${kind} ${namespace}/${name}`;
}

function changeOf(file: FileObject, state: ObjectState, fields: string[] = []): ObjectChange {
  const { namespace = '', name } = file.object.metadata;
  return { kind: file.kind, namespace, name, state, fields, file: originText(file.origin) };
}

function liveOne({ kind, object }: FileObject, live: LiveObjects): KubeObject | undefined {
  const key = keyOf(object);
  return live.get(kind as Kind)?.find((one) => keyOf(one) === key);
}

function judgeFile(file: FileObject, live: LiveObjects): Judged {
  const template = templateOf(file);
  if (template !== null) return judgeWorkload(file, live);
  const there = liveOne(file, live);
  if (there === undefined) return { file, change: changeOf(file, 'new'), takes: [file] };
  const fields = changedFields(file, there);
  if (fields.length === 0) return { file, change: changeOf(file, 'unchanged'), takes: [] };
  return { file, change: changeOf(file, 'changed', fields), takes: [merged(file, there)] };
}

type Body = KubeObject & Record<string, unknown>;

/** Of the mesh's own kinds the file is the whole, defaults filled in; of others what it names. */
function changedFields({ kind, object }: FileObject, there: KubeObject): string[] {
  const { labels = {}, annotations = {} } = object.metadata;
  const known = {
    labels: there.metadata.labels ?? {},
    annotations: there.metadata.annotations ?? {},
  };
  const [file, old] = [object as Body, there as Body];
  const metadata = isWithin({ labels, annotations }, known)
    ? []
    : fieldChanges(
        { metadata: picked(known, { labels, annotations }) },
        { metadata: { labels, annotations } },
      );
  const same = ownKinds.has(kind) ? false : isWithin(file['spec'] ?? {}, old['spec'] ?? {});
  const spec = same ? [] : fieldChanges({ spec: old['spec'] }, { spec: file['spec'] });
  const named = ownKinds.has(kind) ? spec : spec.filter(({ after }) => after !== undefined);
  return [...metadata, ...named].map(changeText);
}

/** Of what is known the keys that are wanted. */
function picked(
  known: Record<string, Record<string, string>>,
  wanted: Record<string, Record<string, string>>,
): Record<string, Record<string, string>> {
  return Object.fromEntries(
    Object.entries(wanted).map(([part, values]) => [
      part,
      Object.fromEntries(
        Object.entries(known[part] ?? {}).filter(([key]) => values[key] !== undefined),
      ),
    ]),
  );
}

/** A Service keeps the addresses that it was given. */
function merged(file: FileObject, there: KubeObject): FileObject {
  if (ownKinds.has(file.kind)) return file;
  const [young, old] = [file.object as Body, there as Body];
  const spec = { ...(old['spec'] as object), ...(young['spec'] as object) };
  return { ...file, object: { ...young, spec } as KubeObject };
}

/** As if it were rolled out already: the pods that are there, as the template would make them. */
function judgeWorkload(file: FileObject, live: LiveObjects): Judged {
  const { namespace = '', name } = file.object.metadata;
  const workload = `${file.kind}/${name}`;
  const pods = ((live.get('Pod') ?? []) as Pod[]).filter(
    (pod) => pod.metadata.namespace === namespace && podEntry(pod).workload === workload,
  );
  if (pods.length === 0) return { file, change: changeOf(file, 'new'), takes: [file] };
  const made = pods.map((pod) => fromTemplate(pod, file));
  const fields = fieldChanges(decisive(pods[0]!), decisive(made[0]!)).map(changeText);
  if (fields.length === 0) return { file, change: changeOf(file, 'unchanged'), takes: [] };
  const takes = made.map((object): FileObject => ({ kind: 'Pod', object, origin: file.origin }));
  return { file, change: changeOf(file, 'changed', fields), takes };
}

function fromTemplate(pod: Pod, file: FileObject): Pod {
  const { metadata = {}, spec } = templateOf(file)!;
  const kept = Object.entries(pod.metadata.labels ?? {}).filter(([key]) => copyLabels.has(key));
  const { serviceAccountName, serviceAccount } = spec as Pod['spec'] & { serviceAccount?: string };
  const account = serviceAccountName ?? serviceAccount ?? 'default';
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: { ...metadata.labels, ...Object.fromEntries(kept) },
      annotations: { ...pod.metadata.annotations, ...metadata.annotations },
    },
    spec: { ...pod.spec, serviceAccountName: account, containers: spec.containers },
  };
}

/** What of a pod the mesh decides by, but for what every copy has of its own. */
function decisive(pod: Pod): unknown {
  const { labels, serviceAccount, containerPorts, excludedInboundPorts } = podEntry(pod);
  const { containerPorts: sidecars } = podEntry({
    ...pod,
    spec: { ...pod.spec, containers: [] },
  });
  const ports = containerPorts.filter(({ port }) => !sidecars.some((one) => one.port === port));
  const own = Object.entries(labels).filter(([key]) => !copyLabels.has(key));
  return { labels: Object.fromEntries(own), serviceAccount, ports, excludedInboundPorts };
}

/** Kubernetes adds them to each pod. */
const copyLabels: ReadonlySet<string> = new Set([
  'pod-template-hash',
  'controller-revision-hash',
  'pod-template-generation',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-name',
  'controller-uid',
  'job-name',
  injectedLabel,
]);

function judgeRemoval(file: FileObject, live: LiveObjects): Judged {
  const there = liveOne(file, live) !== undefined;
  return { file, change: changeOf(file, there ? 'deleted' : 'unchanged'), takes: [] };
}

function without(live: LiveObjects, names: ReadonlySet<string>): LiveObjects {
  return eachObject(live, (kind, object) => (names.has(named(kind, object)) ? [] : [object]));
}

/** As the API server counts: a changed object is sent anew wherever it holds. */
function nextGeneration(live: LiveObjects, names: ReadonlySet<string>): LiveObjects {
  return eachObject(live, (kind, object) => {
    if (!names.has(named(kind, object))) return [object];
    const generation = (object.metadata.generation ?? 0) + 1;
    return [{ ...object, metadata: { ...object.metadata, generation } }];
  });
}

function named(kind: string, object: KubeObject): string {
  return `${kind} ${keyOf(object)}`;
}

function eachObject(
  live: LiveObjects,
  change: (kind: Kind, object: KubeObject) => KubeObject[],
): LiveObjects {
  return new Map(
    [...live].map(([kind, objects]) => [kind, objects.flatMap((one) => change(kind, one))]),
  );
}
