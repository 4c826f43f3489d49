// The Destination resource: what an address and port mean to the pods of a namespace. Pure.

import { destinationName } from '../../proxy/api/resources.ts';
import type { DestinationResource, HttpRoute } from '../../proxy/api/resources.ts';
import { canonicalAddress } from '../model/addresses.ts';
import { objectKey, podAt, servicePortAt } from '../model/view.ts';
import type { PodEntry, ServicePortEntry, View } from '../model/view.ts';
import { podEndpointsName } from './endpoint-names.ts';
import { meshRefs } from './mesh-settings.ts';
import { declaredProtocol, podPortProtocols } from './protocol.ts';
import { retryPolicy, timeoutMs } from './retry.ts';
import { backendServices, httpRoutes, tcpBackends } from './routes.ts';
import type { RouteContext } from './routes.ts';
import { speakingPolicy } from './traffic-policy.ts';
import { distinctPolicies, shapedBy, withoutUids } from './translated.ts';
import type { ShapedBy, Translated } from './translated.ts';

type Content = Pick<DestinationResource, 'kind' | 'host' | 'protocol' | 'routes' | 'tcp'>;

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
  if (entry !== null) return serviceDestination(view, name, entry, byAddress);
  const pod = podAt(view, canonical);
  if (pod !== null) return podDestination(view, name, { pod, address: canonical, port });
  const content: Content = { kind: 'external', host: name, protocol: 'auto', routes: [], tcp: [] };
  return translated(name, content, [], [byAddress]);
}

function serviceDestination(
  view: View,
  name: string,
  entry: ServicePortEntry,
  byAddress: string,
): Translated<DestinationResource> {
  const { namespace = '', name: serviceName } = entry.service.metadata;
  const { port, appProtocol, name: portName = '' } = entry.port;
  const service = objectKey(namespace, serviceName);
  const policy = speakingPolicy(view, service, port);
  const context: RouteContext = {
    view,
    service,
    port,
    policy,
    defaults: view.mesh?.spec.defaults,
  };
  const content: Content = {
    kind: 'service',
    host: `${serviceName}.${namespace}:${port}`,
    protocol: declaredProtocol(appProtocol, portName),
    routes: httpRoutes(context),
    tcp: tcpBackends(context),
  };
  const policies = policy === null ? [] : [shapedBy('TrafficPolicy', policy)];
  const services = backendServices(context).map((key) => `service:${key}`);
  const dependsOn = ['mesh', byAddress, `traffic:${service}`, ...services];
  return translated(name, content, [...meshRefs(view), ...policies], dependsOn);
}

function podDestination(
  view: View,
  name: string,
  at: { pod: PodEntry; address: string; port: number },
): Translated<DestinationResource> {
  const { pod, address, port } = at;
  const backends = [{ endpoints: podEndpointsName(address, port), weight: 1 }];
  const content: Content = {
    kind: 'pod',
    host: `${pod.name}.${pod.namespace}:${port}`,
    protocol: podPortProtocols(view, pod).get(port) ?? 'auto',
    routes: [podRoute(view, backends)],
    tcp: backends,
  };
  const dependsOn = ['mesh', `address:${address}`, `pod:${pod.key}`, `services:${pod.namespace}`];
  return translated(name, content, meshRefs(view), dependsOn);
}

function podRoute(view: View, backends: HttpRoute['backends']): HttpRoute {
  const defaults = view.mesh?.spec.defaults;
  return {
    name: 'default',
    matches: [],
    backends,
    timeoutMs: timeoutMs(defaults?.timeout),
    retry: retryPolicy(defaults?.retries),
    requestHeaders: null,
    responseHeaders: null,
    rewrite: null,
    redirect: null,
  };
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
