// What a pod's sidecar is told of tracing: where its spans go, which of the traces that begin at it are sampled, and what they
// say of the pod. Pure.

import type { WorkloadResource } from '../../proxy/api/resources.ts';
import type { CollectorSettings } from '../../proxy/api/tracing.ts';
import type { PodEntry, View } from '../model/view.ts';
import type { TrafficPolicy, TracingSpec } from '../resources/tsmesh.ts';
import { collectorFault, collectorService } from './collector.ts';
import { policiesAtPod } from './rate-limits.ts';

/** Percent of the traces that begin in the mesh, where nothing else is said. */
const defaultSampling = 1;

export interface PodTracing {
  tracing: Required<WorkloadResource>['tracing'] | null;
  policies: TrafficPolicy[];
}

export function tracingOf(view: View, pod: PodEntry): PodTracing {
  const spec = view.mesh?.spec.tracing;
  if (spec === undefined || collectorFault(spec.endpoint) !== null)
    return { tracing: null, policies: [] };
  const sampled = [...policiesAtPod(view, pod)].filter(
    ({ policy }) => policy.spec.tracing?.sampling !== undefined,
  );
  const samplingOfPorts: Record<string, number> = {};
  for (const { policy, podPort } of sampled) {
    // Of several Services that lead to it, whoever wants to see most.
    const others = samplingOfPorts[podPort] ?? 0;
    samplingOfPorts[podPort] = Math.max(others, policy.spec.tracing!.sampling!);
  }
  const tracing = {
    collector: collectorOf(view, spec),
    sampling: spec.sampling ?? defaultSampling,
    samplingOfPorts,
    resource: resourceOf(pod),
  };
  return { tracing, policies: [...new Set(sampled.map(({ policy }) => policy))] };
}

/** A Service of the cluster is called at its address, so that what holds in the mesh holds for it. */
function collectorOf(view: View, { endpoint, protocol = 'grpc' }: TracingSpec): CollectorSettings {
  const url = new URL(endpoint);
  const service = view.services.get(collectorService(endpoint) ?? '/');
  const address = service?.spec.clusterIP ?? '';
  const settings = { protocol, endpoint };
  if (url.protocol === 'https:' || address === '' || address === 'None') return settings;
  return { ...settings, destination: { address, port: url.port === '' ? 80 : Number(url.port) } };
}

/** OpenTelemetry's semantic conventions for services and Kubernetes. */
function resourceOf(pod: PodEntry): Record<string, string> {
  const [kind = '', name = ''] = pod.workload.split('/');
  return {
    'service.name': name,
    'service.namespace': pod.namespace,
    'service.instance.id': pod.uid,
    'k8s.namespace.name': pod.namespace,
    'k8s.pod.name': pod.name,
    'k8s.pod.uid': pod.uid,
    ...(kind === 'Pod' ? {} : { [`k8s.${kind.toLowerCase()}.name`]: name }),
    ...(pod.nodeName === '' ? {} : { 'k8s.node.name': pod.nodeName }),
  };
}

/** What is looked at of the view for it. */
export function tracingDependencies(view: View): string[] {
  const endpoint = view.mesh?.spec.tracing?.endpoint;
  const service = endpoint === undefined ? null : collectorService(endpoint);
  return service === null ? [] : [`service:${service}`];
}
