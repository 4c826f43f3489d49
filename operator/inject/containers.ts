// The two containers and two volumes that a meshed pod gets, with every field that the API server would
// fill in, so that a second injection finds nothing to change. Pure.

import type { Bootstrap, CaptureSettings } from '../../proxy/api/bootstrap.ts';
import { drainStartPath, environment, hookPath, readyPath } from '../../proxy/api/bootstrap.ts';
import { containerNames, paths, ports, proxyUserId } from '../../proxy/api/constants.ts';
import type { Container, PodSpec } from '../resources/kubernetes.ts';
import { heapLimitMiB, type Resources } from './resources.ts';

export const volumeNames = { identity: 'tsmesh-identity', state: 'tsmesh-state' } as const;

/** Two minutes for the kubelet to bring the Secret and for the operator to answer. */
const startupFailureThreshold = 120;

export function initContainer(
  image: string,
  capture: CaptureSettings,
  resources: Resources,
): Container {
  return {
    name: containerNames.init,
    image,
    ...common,
    env: [{ name: environment.capture, value: JSON.stringify(capture) }],
    resources,
    securityContext: {
      ...confined,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
    },
  };
}

export function proxyContainer(
  image: string,
  bootstrap: Bootstrap,
  resources: Resources,
): Container {
  return {
    name: containerNames.proxy,
    image,
    ...common,
    restartPolicy: 'Always',
    env: proxyEnvironment(bootstrap, resources),
    ports: [{ name: 'tsmesh-health', containerPort: ports.health, protocol: 'TCP' }],
    resources,
    startupProbe: {
      httpGet: { path: readyPath, port: ports.health, scheme: 'HTTP' },
      periodSeconds: 1,
      timeoutSeconds: 1,
      successThreshold: 1,
      failureThreshold: startupFailureThreshold,
    },
    lifecycle: {
      preStop: {
        httpGet: {
          path: hookPath(drainStartPath, bootstrap.hookToken),
          port: ports.health,
          scheme: 'HTTP',
        },
      },
    },
    securityContext: {
      ...confined,
      capabilities: { drop: ['ALL'] },
      runAsUser: proxyUserId,
      runAsGroup: proxyUserId,
      runAsNonRoot: true,
    },
    volumeMounts: [
      { name: volumeNames.identity, mountPath: paths.identity, readOnly: true },
      { name: volumeNames.state, mountPath: paths.state },
    ],
  };
}

/**
 * The kubelet writes Secret files as root; uid 15086 can read them by `other` only, or by the group where
 * the pod has an fsGroup (all its containers are then in that group). No other container mounts the volume.
 */
export function identityVolume(secretName: string, spec: PodSpec) {
  const fsGroup = spec.securityContext?.fsGroup;
  const defaultMode = typeof fsGroup === 'number' ? 0o440 : 0o444;
  return { name: volumeNames.identity, secret: { secretName, defaultMode } };
}

export function stateVolume() {
  return { name: volumeNames.state, emptyDir: {} };
}

/** The Bootstrap of a container that an earlier injection made; null where it has none. */
export function readBootstrap(container: Container | undefined): Bootstrap | null {
  const value = container?.env?.find((entry) => entry.name === environment.bootstrap)?.value;
  if (value === undefined) return null;
  try {
    const parsed = JSON.parse(value) as Bootstrap;
    return Array.isArray(parsed.probes) ? parsed : null;
  } catch {
    return null;
  }
}

const common = {
  imagePullPolicy: 'IfNotPresent',
  terminationMessagePath: '/dev/termination-log',
  // A sidecar that cannot start says why in `kubectl describe pod`.
  terminationMessagePolicy: 'FallbackToLogsOnError',
} as const;

const confined = {
  allowPrivilegeEscalation: false,
  privileged: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

function proxyEnvironment(bootstrap: Bootstrap, resources: Resources): Container['env'] {
  const heap = heapLimitMiB(resources, bootstrap.concurrency ?? 1);
  const field = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } },
  });
  return [
    { name: environment.bootstrap, value: bootstrapText(bootstrap) },
    field(environment.podName, 'metadata.name'),
    field(environment.podNamespace, 'metadata.namespace'),
    field(environment.podUid, 'metadata.uid'),
    field(environment.podIps, 'status.podIPs'),
    ...(heap === null ? [] : [{ name: 'NODE_OPTIONS', value: `--max-old-space-size=${heap}` }]),
  ];
}

/** The kubelet expands `$(NAME)` in values; JSON can write the dollar sign otherwise. */
function bootstrapText(bootstrap: Bootstrap): string {
  return JSON.stringify(bootstrap).replaceAll('$', '\\u0024');
}
