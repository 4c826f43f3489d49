// Injection as a pure function: a pod and what the mesh knows, to a JSON patch or the reason why not.
// A second injection takes the first one away and begins anew, so twice is the same as once.

import {
  hookTokenPattern,
  type Bootstrap,
  type RewrittenProbe,
} from '../../proxy/api/bootstrap.ts';
import { containerNames } from '../../proxy/api/constants.ts';
import { identitySecretName } from '../ca/identity-secrets.ts';
import type { Container, Namespace, Pod, PodSpec } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import type { InjectionImages, PatchOperation } from './admission.ts';
import { fitConcurrency, wantedConcurrency } from './concurrency.ts';
import {
  identityVolume,
  initContainer,
  proxyContainer,
  readBootstrap,
  stateVolume,
  volumeNames,
} from './containers.ts';
import { judgeConflicts, judgeWish, type Verdict } from './eligibility.ts';
import { diff } from './json-patch.ts';
import { podSecurityWarning, sharedProcessWarning } from './pod-security.ts';
import { addDrainHooks, removeDrainHooks, restoreProbes, rewriteProbes } from './probes.ts';
import { decideResources, mergeResources, type Resources } from './resources.ts';
import { restoreScrape, turnScrape } from './scrape.ts';
import { injectedKey, readSettings, type PodSettings } from './settings.ts';

export interface InjectionInput {
  pod: Pod;
  namespace: Namespace;
  /** Null: the defaults hold. */
  mesh: Mesh | null;
  trustDomain: string;
  images: InjectionImages;
  /** `host:port`, the ClusterIP first. */
  operatorAddresses: string[];
  /** Stands in the `tsmesh.dev/injected` annotation. */
  version: string;
  /** Random; taken where the pod has no token from an earlier injection. Form: `hookTokenPattern`. */
  freshHookToken: string;
}

export type InjectionResult =
  | {
      result: 'injected';
      patch: PatchOperation[];
      warnings: string[];
      /** Whose identity Secret has to exist before the pod does. */
      serviceAccount: string;
    }
  /** An empty message needs no Event. The patch takes away a stamp that a copied pod brought along. */
  | { result: 'skipped'; reason: string; message: string; patch: PatchOperation[] }
  | { result: 'refused'; reason: string; message: string };

/** What an earlier injection left in the pod. */
interface Former {
  probes: RewrittenProbe[];
  hookToken: string | null;
  init: Resources | undefined;
  proxy: Resources | undefined;
}

/** Kubernetes' default where the pod says nothing. */
const defaultGracePeriodSeconds = 30;
const safeToEvict = 'cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes';

export function injectPod(input: InjectionInput): InjectionResult {
  const wish = judgeWish(input.pod, input.namespace);
  if (wish.verdict !== 'inject') return ended(wish, input.pod);
  const read = readSettings(input.pod.metadata.annotations ?? {});
  if (!read.ok) return { result: 'refused', reason: 'InvalidSetting', message: read.message };
  const pod = structuredClone(input.pod);
  pod.spec.containers ??= [];
  const former = takeAway(pod);
  const conflicts = judgeConflicts(pod.spec);
  if (conflicts.verdict !== 'inject') return ended(conflicts, input.pod);
  const serviceAccount = pod.spec.serviceAccountName || 'default';
  const warnings = add(pod, { input, settings: read.settings, former, serviceAccount });
  const security = [podSecurityWarning(input.namespace), sharedProcessWarning(pod.spec)];
  return {
    result: 'injected',
    patch: diff(input.pod, pod),
    warnings: [...security.filter((warning) => warning !== null), ...warnings],
    serviceAccount,
  };
}

/** True where the mesh has put a sidecar into this pod. */
export function isInjected(pod: Pod): boolean {
  return pod.metadata.annotations?.[injectedKey] !== undefined && hasSidecar(pod);
}

function hasSidecar(pod: Pod): boolean {
  return (pod.spec.initContainers ?? []).some(({ name }) => name === containerNames.proxy);
}

interface Addition {
  input: InjectionInput;
  settings: PodSettings;
  former: Former;
  serviceAccount: string;
}

/** Changes the pod in place; returns warnings. */
function add(pod: Pod, addition: Addition): string[] {
  const { input, settings, former, serviceAccount } = addition;
  const { spec } = pod;
  const gracePeriodSeconds = spec.terminationGracePeriodSeconds ?? defaultGracePeriodSeconds;
  const resources = decideResources(spec, settings, input.mesh);
  const proxyResources = mergeResources(former.proxy, resources.proxy);
  const wanted = wantedConcurrency(settings, input.mesh);
  const concurrency = fitConcurrency(wanted, proxyResources.limits?.memory);
  const rewrite = rewriteProbes(spec, gracePeriodSeconds);
  const hookToken = former.hookToken ?? input.freshHookToken;
  addDrainHooks(spec, gracePeriodSeconds, hookToken);
  const appMetrics = turnScrape(pod, settings.excludeInboundPorts);
  const bootstrap: Bootstrap = {
    trustDomain: input.trustDomain,
    serviceAccount,
    operatorAddresses: input.operatorAddresses,
    logLevel: settings.logLevel ?? input.mesh?.spec.proxy?.logLevel ?? 'info',
    gracePeriodSeconds,
    hookToken,
    probes: rewrite.probes,
    ...(concurrency.value === 1 ? {} : { concurrency: concurrency.value }),
    ...(appMetrics === null ? {} : { appMetrics }),
  };
  const images = input.mesh?.spec.proxy;
  spec.initContainers = [
    initContainer(
      images?.initImage ?? input.images.init,
      captureOf(settings),
      mergeResources(former.init, resources.init),
    ),
    proxyContainer(images?.image ?? input.images.proxy, bootstrap, proxyResources),
    ...(spec.initContainers ?? []),
  ];
  const secretName = identitySecretName(serviceAccount);
  spec.volumes = [...(spec.volumes ?? []), identityVolume(secretName, spec), stateVolume()];
  stamp(pod, input.version);
  return concurrency.warning === null
    ? rewrite.warnings
    : [...rewrite.warnings, concurrency.warning];
}

function captureOf(settings: PodSettings) {
  const { excludeInboundPorts, excludeOutboundPorts, excludeOutboundCidrs } = settings;
  return { excludeInboundPorts, excludeOutboundPorts, excludeOutboundCidrs };
}

function stamp(pod: Pod, version: string): void {
  const { metadata } = pod;
  const evictable = (metadata.annotations?.[safeToEvict] ?? '').split(',').filter((v) => v !== '');
  metadata.annotations = {
    ...metadata.annotations,
    [injectedKey]: version,
    [safeToEvict]: [...new Set([...evictable, volumeNames.state])].join(','),
  };
  metadata.labels = { ...metadata.labels, [injectedKey]: 'true' };
}

/** Removes an earlier injection, in place, so that the pod is again what its author wrote. */
function takeAway(pod: Pod): Former {
  if (!isInjected(pod)) {
    return { probes: [], hookToken: null, init: undefined, proxy: undefined };
  }
  const { spec } = pod;
  const inits = spec.initContainers ?? [];
  const proxy = inits.find(({ name }) => name === containerNames.proxy);
  const bootstrap = readBootstrap(proxy);
  const probes = bootstrap?.probes ?? [];
  const init = inits.find(({ name }) => name === containerNames.init);
  spec.initContainers = inits.filter((container) => container !== proxy && container !== init);
  removeVolumes(spec);
  restoreProbes(spec, probes);
  restoreScrape(pod, bootstrap?.appMetrics ?? null);
  removeDrainHooks(spec);
  const hookToken = hookTokenOf(bootstrap);
  return { probes, hookToken, init: resourcesOf(init), proxy: resourcesOf(proxy) };
}

/** Null where an older version injected, or somebody wrote something else there. */
function hookTokenOf(bootstrap: Partial<Bootstrap> | null): string | null {
  const token: unknown = bootstrap?.hookToken;
  return typeof token === 'string' && new RegExp(hookTokenPattern).test(token) ? token : null;
}

function removeVolumes(spec: PodSpec): void {
  const own: readonly string[] = Object.values(volumeNames);
  spec.volumes = spec.volumes?.filter(({ name }) => !own.includes(name));
}

function resourcesOf(container: Container | undefined): Resources | undefined {
  return container?.resources;
}

function ended(verdict: Exclude<Verdict, { verdict: 'inject' }>, pod: Pod): InjectionResult {
  const { reason, message } = verdict;
  if (verdict.verdict === 'refuse') return { result: 'refused', reason, message };
  return { result: 'skipped', reason, message, patch: diff(pod, withoutFalseStamp(pod)) };
}

/** Peers take a pod with the stamp for a meshed one, and would offer it mTLS. */
function withoutFalseStamp(pod: Pod): Pod {
  if (pod.metadata.labels?.[injectedKey] === undefined || hasSidecar(pod)) return pod;
  const metadata = structuredClone(pod.metadata);
  delete metadata.labels?.[injectedKey];
  delete metadata.annotations?.[injectedKey];
  return { ...pod, metadata };
}
