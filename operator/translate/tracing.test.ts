import { describe, expect, it } from '@jest/globals';
import { mesh, pod, service, slice, trafficPolicy, viewOf } from '../model/test-objects.ts';
import type { TracingSpec, TrafficPolicySpec } from '../resources/tsmesh.ts';
import { translateDestination } from './destination.ts';
import { collectorFault, collectorService } from './collector.ts';
import { meshFaults } from './validity.ts';
import { translateWorkload } from './workload.ts';

const endpoint = 'http://otel.observability:4317';
const ports = [{ name: 'http', port: 80, targetPort: 8080 }];

function viewWith(tracing: TracingSpec | undefined, policy: Partial<TrafficPolicySpec> = {}) {
  return viewOf({
    Mesh: [mesh(tracing === undefined ? {} : { tracing })],
    Pod: [pod('shop/cart-1', { ip: '10.0.0.8', labels: { app: 'cart' } })],
    Service: [
      service('shop/cart', '10.1.0.1', ports),
      service('observability/otel', '10.1.0.9', [{ name: 'grpc', port: 4317 }]),
    ],
    EndpointSlice: [slice('shop/cart', [{ address: '10.0.0.8' }], ports)],
    TrafficPolicy: [trafficPolicy('shop/cart', { service: { name: 'cart' }, ...policy })],
  });
}

const workloadOf = (...of: Parameters<typeof viewWith>) =>
  translateWorkload(viewWith(...of), 'shop/cart-1')!;

describe('tracing of a pod', () => {
  it('is off unless the Mesh names a collector', () => {
    expect(workloadOf(undefined).resource).not.toHaveProperty('tracing');
  });

  it('goes to a Service of the cluster through the mesh, and says whose spans they are', () => {
    const { resource, dependsOn } = workloadOf({ endpoint });
    expect(resource.tracing).toMatchObject({
      collector: {
        protocol: 'grpc',
        endpoint,
        destination: { address: '10.1.0.9', port: 4317 },
      },
      sampling: 1,
      samplingOfPorts: {},
      resource: {
        'service.name': 'cart-1',
        'service.namespace': 'shop',
        'k8s.pod.name': 'cart-1',
      },
    });
    expect(dependsOn).toContain('service:observability/otel');
  });

  it.each([
    'http://otel.example.com:4318',
    'https://otel.observability:4317',
    'http://10.2.3.4:80',
  ])('goes to %s without the mesh', (other) => {
    const { collector } = workloadOf({ endpoint: other, protocol: 'http' }).resource.tracing!;
    expect(collector).toEqual({ protocol: 'http', endpoint: other });
  });

  it('samples what arrives at a port as the policy of its Service says, and is shaped by it', () => {
    const { resource, shapedBy } = workloadOf({ endpoint }, { tracing: { sampling: 50 } });
    expect(resource.tracing!.samplingOfPorts).toEqual({ 8080: 50 });
    expect(shapedBy.map(({ kind }) => kind)).toContain('TrafficPolicy');
  });

  it('samples what callers send to a Service as its policy says', () => {
    const view = viewWith({ endpoint }, { tracing: { sampling: 0 } });
    const { resource } = translateDestination(view, 'shop', '10.1.0.1', 80);
    expect(resource.traceSampling).toBe(0);
  });
});

describe('the endpoint of a collector', () => {
  it.each([
    ['http://otel.observability:4317', 'observability/otel'],
    ['http://otel.observability.svc:4317', 'observability/otel'],
    ['http://otel.observability.svc.cluster.local:4317/', 'observability/otel'],
    ['http://otel:4317', null],
    ['https://api.example.com/otlp', null],
    ['http://10.1.2.3:4317', null],
  ])('%s names the Service %s', (text, expected) => {
    expect(collectorService(text)).toBe(expected);
  });

  it.each(['otel:4317', 'ftp://otel.x', 'http://', 'http://user:secret@otel.x'])(
    '%s is refused where its author looks',
    (text) => {
      expect(collectorFault(text)).not.toBeNull();
      expect(meshFaults({ tracing: { endpoint: text } })).toMatchObject([
        { path: 'spec.tracing.endpoint' },
      ]);
    },
  );
});
