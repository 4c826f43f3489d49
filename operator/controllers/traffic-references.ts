// What a TrafficPolicy names and what of it is there: Services, ports, subsets, namespaces. What is not there
// fails alone (500 for its share), and is said here with its path. Pure.

import { canonicalAddress } from '../model/addresses.ts';
import { endpointsOf, objectKey, podAt, tcpPorts, type View } from '../model/view.ts';
import type { Service } from '../resources/kubernetes.ts';
import type { BackendSpec, RouteSpec, TrafficPolicy } from '../resources/tsmesh.ts';
import { matchesLabels } from '../translate/protocol.ts';
import type { Verdict } from './conditions.ts';

interface Problem {
  /** `spec.routes[0].backends[1].service`. */
  path: string;
  /** Null: worth a word, and nothing is missing. */
  reason:
    | 'ServiceNotFound'
    | 'ExternalNameService'
    | 'PortNotFound'
    | 'BackendNotFound'
    | 'SubsetNotFound'
    | 'NoSelector'
    | null;
  message: string;
}

/** What is asked about a policy: in which view, and what stands for its own Service. */
interface Asked {
  view: View;
  policy: TrafficPolicy;
  namespace: string;
}

/** The first thing named that is not there gives the reason; all of them stand in the message. */
export function resolveReferences(view: View, policy: TrafficPolicy): Verdict {
  const asked = { view, policy, namespace: policy.metadata.namespace ?? '' };
  const problems = [
    ...ownServiceProblems(asked),
    ...(policy.spec.routes ?? []).flatMap((route, i) => routeProblems(asked, route, i)),
    ...rateLimitProblems(asked),
  ];
  const first = problems.find(({ reason }) => reason !== null);
  const said = [...new Set(problems.map(({ path, message }) => `${path}: ${message}`))].join('; ');
  if (first === undefined) {
    const well = 'every Service, port and subset that is named exists';
    const message = said === '' ? well : `${well}; ${said}`;
    return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message };
  }
  return { type: 'ResolvedRefs', status: 'False', reason: first.reason!, message: said };
}

function ownServiceProblems(asked: Asked): Problem[] {
  const { name, port } = asked.policy.spec.service;
  const key = objectKey(asked.namespace, name);
  const service = asked.view.services.get(key);
  const path = 'spec.service';
  if (service === undefined) {
    return [{ path, reason: 'ServiceNotFound', message: `there is no Service ${key}` }];
  }
  if (isExternalName(service)) return [externalName(path, key)];
  if (port === undefined) return [];
  return portProblems({ path: `${path}.port`, reason: 'PortNotFound' }, service, key, port);
}

function routeProblems(asked: Asked, route: RouteSpec, i: number): Problem[] {
  const lists = ['backends', 'mirrors'] as const;
  const leads = lists.flatMap((list) =>
    (route[list] ?? []).flatMap((one, j) =>
      backendProblems(asked, one, `spec.routes[${i}].${list}[${j}]`),
    ),
  );
  const sources = (route.matches ?? []).flatMap(({ source }, j) =>
    (source?.namespaces ?? [])
      .filter((name) => !asked.view.namespaces.has(name))
      .map((name): Problem => ({
        path: `spec.routes[${i}].matches[${j}].source.namespaces`,
        reason: null,
        message: `there is no namespace ${name} yet`,
      })),
  );
  return [...leads, ...sources];
}

function backendProblems({ view, policy, namespace }: Asked, backend: BackendSpec, path: string) {
  const key = objectKey(namespace, backend.service ?? policy.spec.service.name);
  const service = view.services.get(key);
  if (service === undefined || isExternalName(service)) {
    // The policy's own Service is spoken of already.
    if (backend.service === undefined) return [];
    if (service !== undefined) return [externalName(`${path}.service`, key)];
    const message = `there is no Service ${key}`;
    return [{ path: `${path}.service`, reason: 'BackendNotFound', message } satisfies Problem];
  }
  const problems: Problem[] = [];
  if (backend.port !== undefined) {
    const at = { path: `${path}.port`, reason: 'BackendNotFound' } as const;
    problems.push(...portProblems(at, service, key, backend.port));
  } else if (backend.service !== undefined) {
    const own = view.services.get(objectKey(namespace, policy.spec.service.name));
    problems.push(...calledPortProblems(`${path}.service`, policy, { own, service, key }));
  }
  if (backend.subset !== undefined) {
    problems.push(...subsetProblems(view, policy, { service: key, name: backend.subset, path }));
  }
  return problems;
}

/** Without a port of its own a backend is called by the port that the client called. */
function calledPortProblems(
  path: string,
  policy: TrafficPolicy,
  { own, service, key }: { own: Service | undefined; service: Service; key: string },
): Problem[] {
  const { port } = policy.spec.service;
  const called = port !== undefined ? [port] : own === undefined ? [] : portsOf(own);
  const known = portsOf(service);
  const lacking = called.filter((one) => !known.includes(one));
  if (lacking.length === 0) return [];
  // Those that lack some may be meant for calls by the others.
  const reason = lacking.length === called.length ? 'BackendNotFound' : null;
  const message = `Service ${key} has no port ${lacking.join(', ')}, by which it is called where none is named here, but ${known.join(', ')}`;
  return [{ path, reason, message }];
}

function subsetProblems(
  view: View,
  policy: TrafficPolicy,
  { service, name, path }: { service: string; name: string; path: string },
): Problem[] {
  const at = `${path}.subset`;
  const { subsets = [] } = policy.spec;
  const subset = subsets.find((one) => one.name === name);
  if (subset === undefined) {
    const names = subsets.map((one) => one.name).join(', ');
    const message = `"${name}" is not in spec.subsets (${names})`;
    return [{ path: at, reason: 'SubsetNotFound', message }];
  }
  if (hasPodWith(view, service, subset.labels)) return [];
  const labels = Object.entries(subset.labels).map(([key, value]) => `${key}=${value}`);
  const message = `no pod of Service ${service} has the labels of subset ${name} (${labels.join(', ')}), so that its share is answered with 503`;
  return [{ path: at, reason: null, message }];
}

/** Ready or not: that comes and goes. */
function hasPodWith(view: View, service: string, labels: Record<string, string>): boolean {
  const namespace = service.split('/')[0]!;
  return (view.slices.get(service) ?? []).flatMap(endpointsOf).some(({ addresses, targetRef }) => {
    const named = view.pods.get(objectKey(namespace, targetRef?.name ?? ''));
    const pods = [named, ...addresses.map((address) => podAt(view, canonicalAddress(address)))];
    return pods.some((pod) => pod != null && matchesLabels(labels, pod.labels));
  });
}

function rateLimitProblems({ view, policy, namespace }: Asked): Problem[] {
  const { rateLimits = [], service: target } = policy.spec;
  const key = objectKey(namespace, target.name);
  const service = view.services.get(key);
  if (rateLimits.length === 0 || service === undefined || isExternalName(service)) return [];
  if (Object.keys(service.spec.selector ?? {}).length === 0) {
    const message = `Service ${key} has no selector: the limits hold nowhere, as its pods are not known`;
    return [{ path: 'spec.rateLimits', reason: 'NoSelector', message }];
  }
  return rateLimits.flatMap(({ port }, i) => {
    if (port === undefined) return [];
    const at = { path: `spec.rateLimits[${i}].port`, reason: 'PortNotFound' } as const;
    return portProblems(at, service, key, port);
  });
}

function portProblems(
  at: Pick<Problem, 'path' | 'reason'>,
  service: Service,
  key: string,
  port: number,
): Problem[] {
  const known = portsOf(service);
  if (known.includes(port)) return [];
  return [{ ...at, message: `Service ${key} has no port ${port}, but ${known.join(', ')}` }];
}

function portsOf(service: Service): number[] {
  return tcpPorts(service).map((one) => one.port);
}

function isExternalName({ spec }: Service): boolean {
  return spec.type === 'ExternalName';
}

function externalName(path: string, key: string): Problem {
  const message = `Service ${key} is an ExternalName: a name in DNS, without an address of its own that calls could come by`;
  return { path, reason: 'ExternalNameService', message };
}
