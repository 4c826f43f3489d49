// CPU and memory of the mesh's containers: annotation before Mesh before default, requests never above
// limits, and a Guaranteed pod stays Guaranteed. Pure.

import type { PodSpec } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { wantedConcurrency } from './concurrency.ts';
import { parseQuantity, sameQuantity } from './quantity.ts';
import { leastMemoryBytes, type PodSettings } from './settings.ts';

export interface Resources {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

type Resource = 'cpu' | 'memory';
/** A value and who said it: of two that contradict each other, the lower rank yields. */
interface Said {
  value: string;
  rank: 0 | 1 | 2;
}

const kinds: readonly Resource[] = ['cpu', 'memory'];
/** FACTS §4: 75 µs of CPU per request, 52 to 85 MB RSS. No CPU limit: throttling is latency. */
const defaults = {
  requests: { cpu: '50m', memory: '96Mi' },
  limits: { memory: '512Mi' },
} as const;
/** A Guaranteed pod needs a CPU limit; with less the sidecar's start takes seconds. */
const guaranteedDefaults = { cpu: '250m', memory: '256Mi' } as const;
const initDefaults = {
  requests: { cpu: '10m', memory: '32Mi' },
  limits: { memory: '128Mi' },
} as const;
/** The rest is buffers, code and the young generation. */
const heapShare = 0.5;
/** Each event loop has a heap of its own: with less than 64 MB it collects garbage all the time. */
const limitPerWorkerMi = 128;

export interface ContainerResources {
  proxy: Resources;
  init: Resources;
}

/** `spec` is the pod without the mesh's own containers. */
export function decideResources(
  spec: PodSpec,
  settings: PodSettings,
  mesh: Mesh | null,
): ContainerResources {
  const said = {
    request: saidOf('requests', settings, mesh),
    limit: saidOf('limits', settings, mesh),
  };
  // Limits of the pod as a whole: containers need none, and requests of ours could exceed them.
  if (hasPodLevelResources(spec)) {
    const proxy = assemble(
      (kind) => pick(said.request[kind], 2),
      (kind) => pick(said.limit[kind], 2),
    );
    return { proxy, init: {} };
  }
  if (isGuaranteed(spec)) {
    const both = (kind: Resource) => guaranteedValue(said.request[kind], said.limit[kind], kind);
    const proxy = assemble(both, both);
    return { proxy, init: structuredClone(proxy) };
  }
  const fitted = Object.fromEntries(
    kinds.map((kind) => [kind, fit(said.request[kind], said.limit[kind])]),
  );
  const proxy = assemble(
    (kind) => fitted[kind]?.request?.value,
    (kind) => fitted[kind]?.limit?.value,
  );
  return { proxy, init: structuredClone(initDefaults) };
}

/** Node's old-space limit in MiB, of each event loop; null where the container has no memory limit. */
export function heapLimitMiB(resources: Resources, concurrency: number): number | null {
  const limit = resources.limits?.memory;
  const bytes = limit === undefined ? null : parseQuantity(limit);
  return bytes === null ? null : Math.floor((bytes * heapShare) / concurrency / 1024 ** 2);
}

/**
 * Keeps what others (a LimitRange) have added to a container of ours between two injections. One that
 * was made for a Guaranteed pod had everything set by us, and nothing of it need hold any more.
 */
export function mergeResources(existing: Resources | undefined, ours: Resources): Resources {
  const kept = existing !== undefined && !hasEqualLimits(existing) ? existing : {};
  const merge = (part: 'requests' | 'limits') => {
    const merged = { ...kept[part], ...ours[part] };
    return Object.keys(merged).length === 0 ? {} : { [part]: merged };
  };
  return { ...merge('requests'), ...merge('limits') };
}

/** The kubelet's rule: every container has limits for both, and requests that do not differ. */
export function isGuaranteed(spec: PodSpec): boolean {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  return containers.length > 0 && containers.every(({ resources }) => hasEqualLimits(resources));
}

function hasEqualLimits(resources: Resources | undefined): boolean {
  return kinds.every((kind) => {
    const limit = resources?.limits?.[kind];
    const request = resources?.requests?.[kind];
    return limit !== undefined && (request === undefined || sameQuantity(request, limit));
  });
}

function hasPodLevelResources(spec: PodSpec): boolean {
  const resources = spec.resources as Resources | undefined;
  return resources?.requests !== undefined || resources?.limits !== undefined;
}

function defaultsFor(
  concurrency: number,
): Record<'requests' | 'limits', Partial<Record<Resource, string>>> {
  if (concurrency === 1) return defaults;
  const memory = `${leastMemoryBytes(concurrency) / 1024 ** 2}Mi`;
  return {
    requests: { ...defaults.requests, memory },
    limits: { memory: larger(defaults.limits.memory, `${concurrency * limitPerWorkerMi}Mi`) },
  };
}

function saidOf(
  part: 'requests' | 'limits',
  settings: PodSettings,
  mesh: Mesh | null,
): Record<Resource, Said | undefined> {
  const limits = part === 'limits';
  const annotated = {
    cpu: limits ? settings.proxyCpuLimit : settings.proxyCpu,
    memory: limits ? settings.proxyMemoryLimit : settings.proxyMemory,
  };
  const byDefault = defaultsFor(wantedConcurrency(settings, mesh))[part];
  const of = (kind: Resource): Said | undefined => {
    const layers = [byDefault[kind], mesh?.spec.proxy?.resources?.[part]?.[kind], annotated[kind]];
    const rank = layers.findLastIndex((value) => value !== undefined);
    return rank < 0 ? undefined : { value: layers[rank]!, rank: rank as Said['rank'] };
  };
  return { cpu: of('cpu'), memory: of('memory') };
}

/**
 * One value for request and limit. A request that the Mesh sets for pods without CPU limit is no measure
 * for a limit: it counts only where it is the larger.
 */
function guaranteedValue(
  request: Said | undefined,
  limit: Said | undefined,
  kind: Resource,
): string {
  const explicit = pick(limit, 1) ?? pick(request, 2);
  const least = kind === 'memory' ? '96Mi' : '1m';
  if (explicit !== undefined) return larger(explicit, least);
  return larger(pick(request, 1) ?? least, guaranteedDefaults[kind]);
}

function larger(a: string, b: string): string {
  return (parseQuantity(a) ?? 0) >= (parseQuantity(b) ?? 0) ? a : b;
}

function fit(request: Said | undefined, limit: Said | undefined) {
  if (request === undefined || limit === undefined) return { request, limit };
  if ((parseQuantity(request.value) ?? 0) <= (parseQuantity(limit.value) ?? 0)) {
    return { request, limit };
  }
  return request.rank < limit.rank ? { request: limit, limit } : { request, limit: request };
}

function pick(said: Said | undefined, leastRank: number): string | undefined {
  return said !== undefined && said.rank >= leastRank ? said.value : undefined;
}

function assemble(
  request: (kind: Resource) => string | undefined,
  limit: (kind: Resource) => string | undefined,
): Resources {
  const part = (name: 'requests' | 'limits', of: (kind: Resource) => string | undefined) => {
    const entries = kinds
      .map((kind) => [kind, of(kind)])
      .filter(([, value]) => value !== undefined);
    return entries.length === 0 ? {} : { [name]: Object.fromEntries(entries) };
  };
  return { ...part('requests', request), ...part('limits', limit) };
}
