import { describe, expect, it } from '@jest/globals';
import { podEntry } from './model/pod-entry.ts';
import type { Pod } from './resources/kubernetes.ts';
import { slimPod } from './stores.ts';

const pod = (): Pod => ({
  metadata: {
    name: 'cart-5d8-x',
    namespace: 'shop',
    uid: 'u1',
    labels: { app: 'cart', 'pod-template-hash': '5d8', 'tsmesh.dev/injected': 'true' },
    annotations: { 'tsmesh.dev/exclude-inbound-ports': '9090' },
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'cart-5d8', uid: 'r', controller: true },
    ],
  },
  spec: {
    serviceAccountName: 'cart',
    containers: [
      {
        name: 'app',
        image: 'cart:1',
        command: ['run'],
        env: [{ name: 'A', value: 'b'.repeat(1_000) }],
        ports: [{ name: 'http', containerPort: 8080 }],
        readinessProbe: { httpGet: { port: 8080 } },
      },
    ],
    initContainers: [
      { name: 'tsmesh-proxy', restartPolicy: 'Always', env: [{ name: 'B', value: 'c' }] },
      { name: 'helper', restartPolicy: 'Always', ports: [{ containerPort: 9000 }] },
    ],
    volumes: [{ name: 'tsmesh-identity', secret: { secretName: 's' } }],
  },
  status: {
    phase: 'Running',
    podIPs: [{ ip: '10.0.0.1' }],
    conditions: [{ type: 'Ready', status: 'True' }],
    initContainerStatuses: [{ name: 'tsmesh-proxy', ready: true }],
  },
});

describe('a Pod in the cache', () => {
  it('is smaller, and the model reads the same from it', () => {
    const slim = pod();
    slimPod(slim);
    expect(podEntry(slim)).toEqual(podEntry(pod()));
    expect(JSON.stringify(slim).length).toBeLessThan(JSON.stringify(pod()).length / 2);
  });
});
