// Who calls and what is called: names of a question to pods and addresses of a view. Pure; throws a CliError
// of code NotFound that says what there is instead.

import { destinationName } from '../../../proxy/api/resources.ts';
import { formatSpiffeId, parseSpiffeId } from '../../../proxy/api/spiffe.ts';
import { canonicalAddress } from '../../model/addresses.ts';
import { endpointsOf, objectKey, tcpPorts, type PodEntry, type View } from '../../model/view.ts';
import type { Service, ServicePort } from '../../resources/kubernetes.ts';
import { podEndpointsName, serviceEndpointsName } from '../../translate/endpoint-names.ts';
import { trustDomainOf } from '../../translate/mesh-settings.ts';
import { CliError } from '../errors.ts';
import { isInvented } from '../files/expand.ts';
import type { Call, Named } from './question.ts';

export interface CallerParty {
  /** `Deployment shop/web`, `outside the mesh`. */
  label: string;
  namespace: string;
  /** What its sidecar proves; null: it has none, and calls in plaintext. */
  identity: string | null;
  /** Empty: not known. */
  address: string;
  /** Null where no pod was named. */
  pod: PodEntry | null;
  /** What it calls at these is itself. */
  ownAddresses: readonly string[];
  notes: string[];
}

export interface TargetParty {
  label: string;
  /** What the caller connects to. */
  address: string;
  port: number;
  /** As the caller would write it. */
  host: string;
  /** Endpoints without any route in the way: what a caller without a sidecar reaches. */
  endpoints: string;
}

/** `outsideAddress` when nothing is known of a caller from outside. */
export function findCaller(view: View, call: Call): CallerParty {
  const { from, identity, ip } = call;
  const party = from === null ? outsideParty(identity) : partyOf(view, from);
  const found = ip === null ? party : { ...party, address: canonicalAddress(ip) };
  if (identity === null || from === null) return found;
  return { ...found, identity, label: `${found.label} as ${identity}` };
}

function outsideParty(identity: string | null): CallerParty {
  const parts = identity === null ? null : parseSpiffeId(identity);
  const label = parts === null ? 'a caller outside the mesh' : identity!;
  const namespace = parts?.namespace ?? '';
  return { label, namespace, identity, address: '', pod: null, ownAddresses: [], notes: [] };
}

function partyOf(view: View, from: Named): CallerParty {
  if (from.kind === 'service')
    throw new CliError('NotFound', `from: ${named(from)}: a Service does not call; name a pod`);
  const pods = podsNamed(view, from);
  const meshed = pods.filter((pod) => pod.meshed);
  const pod = meshed[0] ?? pods[0];
  if (pod === undefined) {
    if (from.kind === 'serviceaccount') return accountParty(view, from);
    throw missing(view, 'from', from);
  }
  const { namespace, serviceAccount } = pod;
  const trustDomain = trustDomainOf(view);
  const bare = pods.length - meshed.length;
  const notes =
    meshed.length > 0 && bare > 0
      ? [
          `${bare} of ${pods.length} pods of ${labelOf(pod)} have no sidecar: they call in plaintext`,
        ]
      : [];
  return {
    label: from.kind === 'serviceaccount' ? `ServiceAccount ${named(from)}` : labelOf(pod),
    namespace,
    identity: pod.meshed ? formatSpiffeId({ trustDomain, namespace, serviceAccount }) : null,
    address: pod.ips[0] ?? '',
    pod,
    ownAddresses: isCopy(pod) ? [] : pod.ips,
    notes,
  };
}

/** Of a workload in a file one pod stands for all copies: what it calls may be another one. */
function isCopy(pod: PodEntry): boolean {
  return !pod.workload.startsWith('Pod/') && pod.ips.every(isInvented);
}

/** No pod runs as it: taken as that of a pod with a sidecar. */
function accountParty(view: View, { namespace, name }: Named): CallerParty {
  const trustDomain = trustDomainOf(view);
  return {
    label: `ServiceAccount ${namespace}/${name}`,
    namespace,
    identity: formatSpiffeId({ trustDomain, namespace, serviceAccount: name }),
    address: '',
    pod: null,
    ownAddresses: [],
    notes: [`no pod runs as ServiceAccount ${namespace}/${name}: one with a sidecar is assumed`],
  };
}

/** The living; a pod by its name before a workload of that name. */
export function podsNamed({ pods }: Pick<View, 'pods'>, wanted: Named): PodEntry[] {
  const { kind, namespace, name, workloadKind } = wanted;
  const all = [...pods.values()].filter(
    (pod) => pod.namespace === namespace && pod.alive && !pod.terminating,
  );
  if (kind === 'serviceaccount') return all.filter((pod) => pod.serviceAccount === name);
  if (kind !== 'workload') {
    const pod = all.filter((one) => one.name === name || one.workload === `Pod/${name}`);
    if (pod.length > 0 || kind === 'pod') return pod;
  }
  return all.filter((pod) => {
    const [podKind = '', podName] = pod.workload.split('/');
    return podName === name && (workloadKind === null || podKind === workloadKind);
  });
}

/** `Deployment shop/cart`, for any of its pods. */
export function labelOf(pod: PodEntry): string {
  const [kind = '', name = ''] = pod.workload.split('/');
  return `${kind} ${pod.namespace}/${name}`;
}

function named({ namespace, name }: Named): string {
  return `${namespace}/${name}`;
}

function missing(view: View, option: string, wanted: Named): CliError {
  const inside = [...view.pods.values()].filter((pod) => pod.namespace === wanted.namespace);
  const services = (view.servicesByNamespace.get(wanted.namespace) ?? []).map(
    ({ metadata }) => `Service ${wanted.namespace}/${metadata.name}`,
  );
  const there = [...new Set([...(option === 'to' ? services : []), ...inside.map(labelOf)])];
  const hint =
    there.length === 0
      ? `there is nothing in namespace ${wanted.namespace}`
      : `there are: ${there.slice(0, 8).join(', ')}${there.length > 8 ? ', …' : ''}`;
  const what = wanted.workloadKind ?? wanted.kind ?? 'pod or workload';
  const or = option === 'to' && wanted.kind === null ? 'Service, ' : '';
  return new CliError('NotFound', `${option}: there is no ${or}${what} ${named(wanted)}`, { hint });
}

/** Several for a headless Service: DNS answers with its pods themselves. */
export function findTargets(view: View, call: Call): TargetParty[] {
  const { to, port } = call;
  if (to.kind === 'serviceaccount')
    throw new CliError('NotFound', `to: ${named(to)}: a service account is not called; name a pod`);
  const service = view.services.get(objectKey(to.namespace, to.name));
  if (service !== undefined && (to.kind === null || to.kind === 'service'))
    return serviceTarget(view, service, port);
  const [pod] = to.kind === 'service' ? [] : podsNamed(view, to);
  if (pod === undefined) throw missing(view, 'to', to);
  return [podTarget(pod, port)];
}

function serviceTarget(view: View, service: Service, port: string | null): TargetParty[] {
  const { name, namespace = '' } = service.metadata;
  const label = `Service ${namespace}/${name}`;
  if (service.spec.type === 'ExternalName')
    throw new CliError('NotFound', `to: ${label} is a name for something outside of the cluster`);
  const found = servicePort(label, tcpPorts(service), port);
  const { clusterIP, clusterIPs } = service.spec;
  const own = clusterIPs?.[0] ?? clusterIP ?? '';
  const host = `${name}.${namespace}${found.port === 80 ? '' : `:${found.port}`}`;
  if (own === 'None' || own === '') return headlessTargets(view, service, { label, host, found });
  const address = canonicalAddress(own);
  const family = address.includes(':') ? 'IPv6' : 'IPv4';
  const place = { service: objectKey(namespace, name), port: found.port, family } as const;
  const endpoints = serviceEndpointsName(place, null);
  return [{ label: `${label}:${found.port}`, address, port: found.port, host, endpoints }];
}

function headlessTargets(
  view: View,
  service: Service,
  about: { label: string; host: string; found: ServicePort },
): TargetParty[] {
  const { metadata } = service;
  const { label, host, found } = about;
  const slices = view.slices.get(objectKey(metadata.namespace ?? '', metadata.name)) ?? [];
  const targets = slices.flatMap((slice) => {
    const ports = slice.ports ?? [];
    const port = ports.find((one) => (one.name ?? '') === (found.name ?? ''))?.port;
    if (port === undefined) return [];
    const ready = endpointsOf(slice).filter((one) => one.conditions?.ready !== false);
    return ready.flatMap(({ addresses }) =>
      addresses.map(canonicalAddress).map((address) => {
        const endpoints = podEndpointsName(address, port);
        return { label: `${label}:${found.port}`, address, port, host, endpoints };
      }),
    );
  });
  if (targets.length > 0) return targets;
  throw new CliError('NotFound', `to: ${label} is headless, and no ready pod is behind it`);
}

function servicePort(label: string, ports: ServicePort[], wanted: string | null): ServicePort {
  const list = ports.map((one) =>
    one.name === undefined ? one.port : `${one.port} (${one.name})`,
  );
  const hint = `its TCP ports: ${list.join(', ') || 'none'}`;
  if (wanted === null) {
    if (ports.length === 1) return ports[0]!;
    throw new CliError('NotFound', `to: ${label}: say which port`, { hint });
  }
  const found = ports.find((one) => String(one.port) === wanted || one.name === wanted);
  if (found === undefined)
    throw new CliError('NotFound', `to: ${label} has no port ${wanted}`, { hint });
  return found;
}

function podTarget(pod: PodEntry, wanted: string | null): TargetParty {
  const label = labelOf(pod);
  const [address] = pod.ips;
  if (address === undefined) throw new CliError('NotFound', `to: ${label} has no address yet`);
  const port = podPort(pod, label, wanted);
  return {
    label: `${label}:${port}`,
    address,
    port,
    host: destinationName(address, port),
    endpoints: podEndpointsName(address, port),
  };
}

function podPort(pod: PodEntry, label: string, wanted: string | null): number {
  const list = pod.containerPorts.map(({ name, port }) =>
    name === '' ? port : `${port} (${name})`,
  );
  const hint = `ports of its containers: ${list.join(', ') || 'none declared'}`;
  if (wanted !== null && /^\d+$/.test(wanted)) return Number(wanted);
  const named = pod.containerPorts.find(({ name }) => name !== '' && name === wanted);
  const only = pod.containerPorts.length === 1 ? pod.containerPorts[0] : undefined;
  const found = wanted === null ? only : named;
  if (found !== undefined) return found.port;
  const what = wanted === null ? `${label}: say which port` : `${label} has no port ${wanted}`;
  throw new CliError('NotFound', `to: ${what}`, { hint });
}
