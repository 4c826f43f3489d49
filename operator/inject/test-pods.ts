// For tests only: builders of pods, namespaces and injection inputs as the API server sends them.

import type { Container, Namespace, Pod, PodSpec } from '../resources/kubernetes.ts';
import type { InjectionInput, InjectionResult } from './inject-pod.ts';
import { applyPatch } from './json-patch.ts';

export const testHookToken = '0123456789abcdef0123456789abcdef';

export function namespaceOf(
  name = 'shop',
  labels: Record<string, string> = {},
  annotations: Record<string, string> = { 'tsmesh.dev/inject': 'enabled' },
): Namespace {
  return {
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels }, annotations },
  };
}

export function appContainer(parts: Partial<Container> = {}): Container {
  return {
    name: 'app',
    image: 'example/app:1',
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    resources: {},
    imagePullPolicy: 'IfNotPresent',
    ...parts,
  };
}

export function podOf(
  spec: Partial<PodSpec> = {},
  annotations?: Record<string, string>,
  labels?: Record<string, string>,
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: 'cart-5d4f-',
      labels: { app: 'cart', ...labels },
      ...(annotations !== undefined && { annotations }),
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: 'cart-5d4f',
          uid: 'u1',
          controller: true,
        },
      ],
    } as unknown as Pod['metadata'],
    spec: {
      containers: [appContainer()],
      serviceAccountName: 'cart',
      terminationGracePeriodSeconds: 30,
      ...spec,
    },
  };
}

export function inputOf(pod: Pod, parts: Partial<InjectionInput> = {}): InjectionInput {
  return {
    pod,
    namespace: namespaceOf(),
    mesh: null,
    trustDomain: 'cluster.local',
    images: { proxy: 'tsmesh/proxy:v1', init: 'tsmesh/init:v1' },
    operatorAddresses: ['10.96.0.20:15012', 'tsmesh-operator.tsmesh-system.svc:15012'],
    version: 'v0.1.0',
    freshHookToken: testHookToken,
    ...parts,
  };
}

/** The pod after injection; throws where there was none. */
export function injected(pod: Pod, result: InjectionResult): Pod {
  if (result.result !== 'injected') throw new Error(`${result.result}: ${result.message}`);
  return applyPatch(pod, result.patch);
}
