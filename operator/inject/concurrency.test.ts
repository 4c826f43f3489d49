// How many cores a sidecar gets: who says it, what its memory carries, what follows from it.

import { describe, expect, it } from '@jest/globals';
import type { Bootstrap } from '../../proxy/api/bootstrap.ts';
import { checkBootstrap } from '../../proxy/api/validate.ts';
import type { Container, Pod } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { fitConcurrency } from './concurrency.ts';
import { injectPod } from './inject-pod.ts';
import { appContainer, injected, inputOf, podOf } from './test-pods.ts';

function meshOf(proxy: object): Mesh {
  return { metadata: { name: 'default' }, spec: { proxy } } as Mesh;
}

function proxyOf(pod: Pod, mesh: Mesh | null = null): Container {
  const result = injected(pod, injectPod(inputOf(pod, { mesh })));
  return result.spec.initContainers!.find(({ name }) => name === 'tsmesh-proxy')!;
}

function bootstrapOf(container: Container): Bootstrap {
  return JSON.parse(container.env![0]!.value!) as Bootstrap;
}

function heapOf(container: Container): string | undefined {
  return container.env!.find(({ name }) => name === 'NODE_OPTIONS')?.value;
}

describe('the concurrency of a sidecar', () => {
  it('is not mentioned where it is 1, so that nothing changes for an older image', () => {
    expect(bootstrapOf(proxyOf(podOf(), meshOf({ concurrency: 1 })))).not.toHaveProperty(
      'concurrency',
    );
  });

  it('comes from the Mesh, and from the annotation before it', () => {
    const mesh = meshOf({ concurrency: 2 });
    expect(bootstrapOf(proxyOf(podOf(), mesh)).concurrency).toBe(2);
    const annotated = podOf({}, { 'tsmesh.dev/proxy-concurrency': '3' });
    expect(bootstrapOf(proxyOf(annotated, mesh)).concurrency).toBe(3);
  });

  it('is accepted by the sidecar, and nothing beyond 1 to 16 is', () => {
    const bootstrap = bootstrapOf(proxyOf(podOf({}, { 'tsmesh.dev/proxy-concurrency': '16' })));
    expect(checkBootstrap(bootstrap)).toMatchObject({ ok: true });
    for (const concurrency of [0, 17, 1.5, '2']) {
      expect(checkBootstrap({ ...bootstrap, concurrency })).toMatchObject({
        fault: { path: '/concurrency' },
      });
    }
  });

  it('shares half of the memory limit among the heaps', () => {
    const limit = { 'tsmesh.dev/proxy-memory-limit': '512Mi' };
    expect(heapOf(proxyOf(podOf({}, limit)))).toBe('--max-old-space-size=256');
    const four = proxyOf(podOf({}, { ...limit, 'tsmesh.dev/proxy-concurrency': '4' }));
    expect(heapOf(four)).toBe('--max-old-space-size=64');
  });

  it('brings more memory by default, a heap of 64 MB each', () => {
    const sixteen = proxyOf(podOf({}, { 'tsmesh.dev/proxy-concurrency': '16' }));
    expect(sixteen.resources).toEqual({
      requests: { cpu: '50m', memory: '576Mi' },
      limits: { memory: '2048Mi' },
    });
    expect(heapOf(sixteen)).toBe('--max-old-space-size=64');
  });

  it('is lowered to what the memory limit carries, with a warning', () => {
    const pod = podOf({}, { 'tsmesh.dev/proxy-memory-limit': '128Mi' });
    const mesh = meshOf({ concurrency: 8 });
    expect(bootstrapOf(proxyOf(pod, mesh)).concurrency).toBe(2);
    expect(injectPod(inputOf(pod, { mesh }))).toMatchObject({
      warnings: [
        'tsmesh: the sidecar runs on 2 instead of 8 cores: its memory limit is 128Mi, 8 need 320Mi',
      ],
    });
  });

  it('keeps a Guaranteed pod Guaranteed', () => {
    const equal = { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '1Gi' } };
    const containers = [appContainer({ resources: equal })];
    const { resources } = proxyOf(podOf({ containers }), meshOf({ concurrency: 2 }));
    expect(resources!.requests).toEqual(resources!.limits);
  });
});

describe('what a memory limit carries', () => {
  it.each([
    [1, '96Mi', 1],
    [2, '127Mi', 1],
    [2, '128Mi', 2],
    [16, '575Mi', 15],
    [16, '576Mi', 16],
    [16, undefined, 16],
    [1, '10Mi', 1],
  ])('of %d wanted cores with %s are %d', (wanted, limit, value) => {
    expect(fitConcurrency(wanted, limit).value).toBe(value);
  });
});
