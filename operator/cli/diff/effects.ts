// What of routes, destinations and workloads is another before and after, in the sentences of `describe`. Pure.

import type { WorkloadResource } from '../../../proxy/api/resources.ts';
import { compareText } from '../../model/order.ts';
import type { PodEntry, View } from '../../model/view.ts';
import { namespaceInjects } from '../../inject/eligibility.ts';
import { translateWorkload } from '../../translate/workload.ts';
import { describePods, describePorts, type PortDescription } from '../describe/describe.ts';
import { modeWords } from '../describe/print.ts';
import { counted } from '../describe/units.ts';
import { labelOf } from '../explain/parties.ts';
import { changeText, fieldChanges } from './fields.ts';

export interface Effect {
  /** `Service shop/cart, port 80`, `Deployment shop/cart`. */
  where: string;
  /** 0: no workload. */
  pods: number;
  gone: string[];
  comes: string[];
  /** Fields that no sentence speaks of. */
  others: string[];
}

/** Sorted by where; empty where nothing that sidecars do changes. */
export function effectsOf(before: View, after: View): Effect[] {
  return [
    ...serviceEffects(before, after),
    ...workloadEffects(before, after),
    ...namespaceEffects(before, after),
  ];
}

function isSome({ gone, comes, others }: Effect): boolean {
  return gone.length + comes.length + others.length > 0;
}

function effect(
  where: string,
  said: [before: readonly string[], after: readonly string[]],
): Effect {
  const [old, young] = said;
  return {
    where,
    pods: 0,
    gone: old.filter((one) => !young.includes(one)),
    comes: young.filter((one) => !old.includes(one)),
    others: [],
  };
}

function serviceEffects(before: View, after: View): Effect[] {
  const keys = new Set([...before.services.keys(), ...after.services.keys()]);
  return [...keys].toSorted(compareText).flatMap((key) => {
    const [old, young] = [portsOf(before, key), portsOf(after, key)];
    const ports = new Set([...old.keys(), ...young.keys()]);
    return [...ports]
      .map((port) =>
        effect(`Service ${key}, port ${port}`, [
          sentences(old.get(port)),
          sentences(young.get(port)),
        ]),
      )
      .filter(isSome);
  });
}

function portsOf(view: View, key: string): Map<string, PortDescription> {
  const service = view.services.get(key);
  if (service === undefined || service.spec.type === 'ExternalName') return new Map();
  return new Map(describePorts(view, service).map((port) => [port.ports[0]!, port]));
}

function sentences(port: PortDescription | undefined): string[] {
  if (port === undefined) return [];
  const { protocol, routes, connections, settings, endpoints } = port;
  return [
    protocol === 'auto' ? 'protocol found from the first bytes' : protocol,
    ...routes.map(({ name, matches, does }) => `${name}: ${matches} → ${does.join('; ')}`),
    ...(connections.length === 0
      ? []
      : [`connections that are no HTTP → ${connections.join('; ')}`]),
    ...settings,
    ...(endpoints.length === 0 ? ['no endpoint is ready'] : []),
    ...endpoints.map(({ workload, pods, meshed }) => {
      const how = meshed ? 'mutual TLS' : 'plaintext';
      return `${counted(pods, 'endpoint')} of ${workload}, by ${how}`;
    }),
  ];
}

/** Pods at which the same changes stand together. */
function workloadEffects(before: View, after: View): Effect[] {
  const keys = new Set([...before.pods.keys(), ...after.pods.keys()]);
  const groups = new Map<string, Effect>();
  for (const key of [...keys].toSorted(compareText)) {
    const found = podEffect(before, after, key);
    if (found === null || !isSome(found)) continue;
    const name = JSON.stringify(found);
    const known = groups.get(name);
    if (known === undefined) groups.set(name, { ...found, pods: 1 });
    else known.pods += 1;
  }
  return [...groups.values()];
}

function podEffect(before: View, after: View, key: string): Effect | null {
  const [old, young] = [before.pods.get(key), after.pods.get(key)];
  const pod = young ?? old!;
  if (!pod.alive || pod.terminating) return null;
  const said = effect(labelOf(pod), [podSentences(before, old), podSentences(after, young)]);
  const [was, is] = [workloadOf(before, old), workloadOf(after, young)];
  if (was === null || is === null) return said;
  return { ...said, others: fieldChanges(unspoken(was), unspoken(is)).map(changeText) };
}

function workloadOf(view: View, pod: PodEntry | undefined): WorkloadResource | null {
  if (pod?.meshed !== true) return null;
  return translateWorkload(view, pod.key)?.resource ?? null;
}

function podSentences(view: View, pod: PodEntry | undefined): string[] {
  if (pod === undefined) return [];
  const described = describePods(view, [pod]);
  const { identity, unmeshed, ports, callers, policies, rateLimits, settings } = described;
  if (unmeshed !== '') return ['no sidecar'];
  return [
    `identity ${identity}`,
    `mTLS ${modeWords(ports)}`,
    `may call: ${callers}`,
    ...policies
      .filter(({ name }) => name.startsWith('Authorization'))
      .flatMap(({ name, says, rules }) => [
        `${name}: ${says}`,
        ...rules.map((rule) => `${name}, ${rule}`),
      ]),
    ...rateLimits,
    ...settings.map(({ about, says }) => `${about.toLowerCase()}: ${says}`),
  ];
}

/** What no sentence above tells of. */
function unspoken({ inbound, zone, node, statisticsIntervalMs }: WorkloadResource): unknown {
  const protocols = Object.entries(inbound.ports).map(([port, { protocol }]) => [port, protocol]);
  return { zone, node, statisticsIntervalMs, protocols: Object.fromEntries(protocols) };
}

function namespaceEffects(before: View, after: View): Effect[] {
  return [...after.namespaces].flatMap(([name, namespace]) => {
    const old = before.namespaces.get(name);
    const [was, is] = [old !== undefined && namespaceInjects(old), namespaceInjects(namespace)];
    if (was === is) return [];
    const running = [...after.pods.values()].filter(
      (pod) => pod.namespace === name && pod.alive && pod.meshed !== is && !pod.hostNetwork,
    );
    const rest =
      running.length === 0
        ? ''
        : `; ${counted(running.length, 'running pod')} as before until restarted`;
    const says = is ? 'new pods get a sidecar' : 'new pods get no sidecar';
    return [{ where: `Namespace ${name}`, pods: 0, gone: [], comes: [says + rest], others: [] }];
  });
}
