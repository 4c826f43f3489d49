// The Destination resource: what an address and port mean to the pods of a namespace. Pure.

import { destinationName } from '../../proxy/api/resources.ts';
import type { DestinationResource } from '../../proxy/api/resources.ts';
import { canonicalAddress } from '../model/addresses.ts';
import { keyOf, namespaceOf, podAt, servicePortAt, tcpPorts } from '../model/view.ts';
import type { DependencyKey, ObjectKey, PodEntry, ServicePortEntry, View } from '../model/view.ts';
import { podEndpointsName } from './endpoint-names.ts';
import type { Family, ServicePlace } from './endpoint-names.ts';
import { meshRefs } from './mesh-settings.ts';
import { outlierDetection } from './outlier.ts';
import { declaredProtocol, podPortProtocols, servicesOfPod, targetPort } from './protocol.ts';
import { backendServices, httpRoutes, tcpBackends } from './routes.ts';
import type { RouteContext } from './routes.ts';
import { speakingPolicy } from './traffic-policy.ts';
import { distinctPolicies, shapedBy, withoutUids } from './translated.ts';
import type { ShapedBy, Translated } from './translated.ts';

type Content = Pick<
  DestinationResource,
  'kind' | 'host' | 'protocol' | 'routes' | 'tcp' | 'outlierDetection'
>;

/**
 * `clientNamespace` is part of the key (policies of the caller's namespace come with the Gateway API);
 * a TrafficPolicy stands beside its Service and holds for callers of every namespace.
 */
export function translateDestination(
  view: View,
  _clientNamespace: string,
  address: string,
  port: number,
): Translated<DestinationResource> {
  const canonical = canonicalAddress(address);
  const name = destinationName(address, port);
  const byAddress = `address:${canonical}`;
  const entry = servicePortAt(view, destinationName(canonical, port));
  const pod = podAt(view, canonical);
  // A claim does not take a pod's address.
  if (entry !== null && (entry.own || pod === null)) {
    return serviceDestination(view, name, entry, canonical);
  }
  if (pod !== null) return podDestination(view, name, { pod, address: canonical, port });
  const content: Content = { kind: 'external', host: name, protocol: 'auto', routes: [], tcp: [] };
  return translated(name, content, [], [byAddress]);
}

function serviceDestination(
  view: View,
  name: string,
  entry: ServicePortEntry,
  address: string,
): Translated<DestinationResource> {
  const { name: serviceName } = entry.service.metadata;
  const { port, appProtocol, name: portName } = entry.port;
  const place = { service: keyOf(entry.service), port, family: familyOf(address) };
  const context = contextOf(view, place, null);
  const content: Content = {
    kind: 'service',
    host: `${serviceName}.${namespaceOf(entry.service)}:${port}`,
    protocol: declaredProtocol(appProtocol, portName),
    routes: httpRoutes(context),
    tcp: tcpBackends(context),
    ...outlierOf(context),
  };
  const dependsOn = [`address:${address}`, ...dependenciesOf(context)];
  return translated(name, content, policiesOf(context), dependsOn);
}

/** A pod called by its own address; what its headless Service's policy says holds, but for where to. */
function podDestination(
  view: View,
  name: string,
  at: { pod: PodEntry; address: string; port: number },
): Translated<DestinationResource> {
  const { pod, address, port } = at;
  const headless = headlessService(view, pod, port);
  const own = podEndpointsName(address, port);
  const [service, servicePort] = headless ?? [pod.key, port];
  const place = { service, port: servicePort, family: familyOf(address) };
  const known = contextOf(view, place, own);
  const context: RouteContext = headless === null ? { ...known, policy: null } : known;
  const content: Content = {
    kind: 'pod',
    host: `${pod.name}.${pod.namespace}:${port}`,
    protocol: podPortProtocols(view, pod).get(port) ?? 'auto',
    routes: httpRoutes(context),
    tcp: tcpBackends(context),
  };
  const dependsOn = [`address:${address}`, `pod:${pod.key}`, `services:${pod.namespace}`];
  return translated(name, content, policiesOf(context), [...dependsOn, ...dependenciesOf(context)]);
}

/** The oldest headless Service that leads to this port of the pod, and its own port for it. */
function headlessService(view: View, pod: PodEntry, port: number): [ObjectKey, number] | null {
  for (const service of servicesOfPod(view, pod)) {
    if (service.spec.clusterIP !== 'None') continue;
    const found = tcpPorts(service).find((one) => targetPort(one, pod) === port);
    if (found !== undefined) return [keyOf(service), found.port];
  }
  return null;
}

function contextOf(view: View, place: ServicePlace, ownEndpoints: string | null): RouteContext {
  const policy = speakingPolicy(view, place.service, place.port);
  return { view, ...place, policy, defaults: view.mesh?.spec.defaults, ownEndpoints };
}

function outlierOf({ policy }: RouteContext): Pick<Content, 'outlierDetection'> {
  const spec = policy?.spec.outlierDetection;
  return spec === undefined ? {} : { outlierDetection: outlierDetection(spec) };
}

function familyOf(address: string): Family {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

function policiesOf({ view, policy }: RouteContext): ShapedBy[] {
  return [...meshRefs(view), ...(policy === null ? [] : [shapedBy('TrafficPolicy', policy)])];
}

function dependenciesOf(context: RouteContext): DependencyKey[] {
  const services = backendServices(context).map((key) => `service:${key}`);
  return ['mesh', `traffic:${context.service}`, ...services];
}

function translated(
  name: string,
  content: Content,
  refs: ShapedBy[],
  dependsOn: string[],
): Translated<DestinationResource> {
  const policies = distinctPolicies(refs);
  return {
    resource: { type: 'Destination', name, ...content, policies: withoutUids(policies) },
    shapedBy: policies,
    dependsOn,
  };
}
