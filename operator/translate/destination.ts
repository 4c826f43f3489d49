// The Destination resource: what an address and port mean to the pods of a namespace. Pure.

import { destinationName } from '../../proxy/api/resources.ts';
import type { DestinationResource } from '../../proxy/api/resources.ts';
import { canonicalAddress } from '../model/addresses.ts';
import { keyOf, namespaceOf, podAt, servicePortAt, tcpPorts } from '../model/view.ts';
import type { DependencyKey, ObjectKey, PodEntry, ServicePortEntry, View } from '../model/view.ts';
import type { Service } from '../resources/kubernetes.ts';
import { backendServices } from './backends.ts';
import type { RouteContext } from './backends.ts';
import { balancing, destinationLimits } from './balancing.ts';
import { podEndpointsName } from './endpoint-names.ts';
import type { Family, ServicePlace } from './endpoint-names.ts';
import { meshRefs } from './mesh-settings.ts';
import { outlierDetection } from './outlier.ts';
import { declaredProtocol, podPortProtocols, servicesOfPod, targetPort } from './protocol.ts';
import { timeoutMs } from './retry.ts';
import { httpRoutes, tcpBackends } from './routes.ts';
import { speakingPolicy } from './traffic-policy.ts';
import { distinctPolicies, shapedBy, withoutUids } from './translated.ts';
import type { ShapedBy, Translated } from './translated.ts';

type Content = Pick<DestinationResource, 'kind' | 'host' | 'protocol' | 'routes' | 'tcp'> &
  Settings;

/** What holds for the destination as a whole, whatever route is taken. */
type Settings = Pick<
  DestinationResource,
  | 'outlierDetection'
  | 'balancing'
  | 'limits'
  | 'connectTimeoutMs'
  | 'tcpIdleTimeoutMs'
  | 'traceSampling'
>;

/** A TrafficPolicy stands beside its Service; its routes can ask for the caller's namespace. */
export function translateDestination(
  view: View,
  clientNamespace: string,
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
    return serviceDestination({ view, clientNamespace, name }, entry, canonical);
  }
  if (pod !== null) {
    return podDestination({ view, clientNamespace, name }, { pod, address: canonical, port });
  }
  const content: Content = { kind: 'external', host: name, protocol: 'auto', routes: [], tcp: [] };
  return translated(name, content, [], [byAddress]);
}

/** What was asked: the name of the resource, and for callers of which namespace. */
interface Asked {
  view: View;
  clientNamespace: string;
  name: string;
}

function serviceDestination(
  asked: Asked,
  entry: ServicePortEntry,
  address: string,
): Translated<DestinationResource> {
  const { name: serviceName } = entry.service.metadata;
  const { port, appProtocol, name: portName } = entry.port;
  const place = { service: keyOf(entry.service), port, family: familyOf(address) };
  const context = contextOf(asked, place, null);
  const content: Content = {
    kind: 'service',
    host: `${serviceName}.${namespaceOf(entry.service)}:${port}`,
    protocol: declaredProtocol(appProtocol, portName),
    routes: httpRoutes(context),
    tcp: tcpBackends(context),
    ...settingsOf(context, entry.service),
  };
  const dependsOn = [`address:${address}`, ...dependenciesOf(context)];
  return translated(asked.name, content, policiesOf(context), dependsOn);
}

/** A pod called by its own address; what its headless Service's policy says holds, but for where to. */
function podDestination(
  asked: Asked,
  at: { pod: PodEntry; address: string; port: number },
): Translated<DestinationResource> {
  const { view, name } = asked;
  const { pod, address, port } = at;
  const headless = headlessService(view, pod, port);
  const own = podEndpointsName(address, port);
  const [service, servicePort] = headless ?? [pod.key, port];
  const place = { service, port: servicePort, family: familyOf(address) };
  const known = contextOf(asked, place, own);
  const context: RouteContext = headless === null ? { ...known, policy: null } : known;
  const content: Content = {
    kind: 'pod',
    host: `${pod.name}.${pod.namespace}:${port}`,
    protocol: podPortProtocols(view, pod).get(port) ?? 'auto',
    routes: httpRoutes(context),
    tcp: tcpBackends(context),
    ...podSettingsOf(context),
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

function contextOf(
  { view, clientNamespace }: Asked,
  place: ServicePlace,
  ownEndpoints: string | null,
): RouteContext {
  const policy = speakingPolicy(view, place.service, place.port);
  const defaults = view.mesh?.spec.defaults;
  return { view, clientNamespace, ...place, policy, defaults, ownEndpoints };
}

function settingsOf(context: RouteContext, service: Service): Settings {
  const { outlierDetection: outlier, loadBalancing } = context.policy?.spec ?? {};
  const balanced = balancing(loadBalancing, service);
  return {
    ...(outlier === undefined ? {} : { outlierDetection: outlierDetection(outlier) }),
    ...(balanced === undefined ? {} : { balancing: balanced }),
    ...podSettingsOf(context),
  };
}

/** Where there is one endpoint there is nothing to choose, and nothing to leave out. */
function podSettingsOf({ policy }: RouteContext): Settings {
  const { limits, connectTimeout, tcpIdleTimeout, tracing } = policy?.spec ?? {};
  const connectTimeoutMs = timeoutMs(connectTimeout);
  const tcpIdleTimeoutMs = timeoutMs(tcpIdleTimeout);
  return {
    ...(limits === undefined ? {} : { limits: destinationLimits(limits) }),
    ...(connectTimeoutMs === null ? {} : { connectTimeoutMs }),
    ...(tcpIdleTimeoutMs === null ? {} : { tcpIdleTimeoutMs }),
    ...(tracing?.sampling === undefined ? {} : { traceSampling: tracing.sampling }),
  };
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
