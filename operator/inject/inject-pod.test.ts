// Injection: golden pods, what is skipped and refused, and that twice is the same as once.

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import type { Bootstrap } from '../../proxy/api/bootstrap.ts';
import type { Container, Pod, PodSpec } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import { injectPod, isInjected, type InjectionInput } from './inject-pod.ts';
import { appContainer, injected, inputOf, namespaceOf, podOf, testHookToken } from './test-pods.ts';

function inject(pod: Pod, parts: Partial<InjectionInput> = {}): Pod {
  return injected(pod, injectPod(inputOf(pod, parts)));
}

function outcome(pod: Pod, parts: Partial<InjectionInput> = {}) {
  const result = injectPod(inputOf(pod, parts));
  return result.result === 'injected' ? { result: result.result, reason: '', message: '' } : result;
}

function bootstrapOf(pod: Pod): Bootstrap {
  const env = pod.spec.initContainers![1]!.env!;
  return JSON.parse(env.find(({ name }) => name === 'TSMESH_BOOTSTRAP')!.value!) as Bootstrap;
}

/** Of the app and of the sidecar. */
function hookPathsOf(pod: Pod) {
  const containers = [pod.spec.containers[0]!, proxyOf(pod)];
  return containers.map(({ lifecycle }) => lifecycle?.preStop?.httpGet?.path);
}

function proxyOf(pod: Pod): Container {
  return pod.spec.initContainers!.find(({ name }) => name === 'tsmesh-proxy')!;
}

const equalResources = {
  requests: { cpu: '1', memory: '1Gi' },
  limits: { cpu: '1000m', memory: '1024Mi' },
};

/** Each becomes golden/<name>.yaml. */
const goldenInputs: Record<string, InjectionInput> = {
  minimal: inputOf(podOf()),
  'probes-and-hooks': inputOf(
    podOf({
      containers: [
        appContainer({
          livenessProbe: {
            httpGet: {
              path: '/live?x=$(y)',
              port: 'http',
              scheme: 'HTTPS',
              httpHeaders: [{ name: 'Host', value: 'cart.example' }],
            },
            timeoutSeconds: 3,
            periodSeconds: 7,
            failureThreshold: 2,
          },
          readinessProbe: { grpc: { port: 9000, service: 'cart' }, timeoutSeconds: 1 },
          startupProbe: { exec: { command: ['true'] }, failureThreshold: 30 },
          lifecycle: {
            postStart: { httpGet: { path: '/warm', port: 8080 } },
            preStop: { httpGet: { path: '/bye', port: 8080, scheme: 'HTTP' } },
          },
        }),
        appContainer({
          name: 'db',
          ports: [{ containerPort: 5432 }],
          livenessProbe: { tcpSocket: { port: 5432 }, initialDelaySeconds: 5 },
          lifecycle: { preStop: { sleep: { seconds: 5 } } },
        }),
      ],
      initContainers: [
        { name: 'migrate', image: 'example/migrate:1' },
        {
          name: 'log-shipper',
          image: 'example/logs:1',
          restartPolicy: 'Always',
          readinessProbe: { httpGet: { path: '/', port: 2020 } },
        },
      ],
    }),
  ),
  settings: inputOf(
    podOf(
      {
        securityContext: { fsGroup: 2000, runAsNonRoot: true },
        volumes: [{ name: 'data', emptyDir: {} }],
      },
      {
        'tsmesh.dev/exclude-inbound-ports': '9090, 9091',
        'tsmesh.dev/exclude-outbound-ports': '3306',
        'tsmesh.dev/exclude-outbound-cidrs': '169.254.169.254/32,fd00::/8',
        'tsmesh.dev/proxy-cpu': '200m',
        'tsmesh.dev/proxy-cpu-limit': '1',
        'tsmesh.dev/proxy-memory': '128Mi',
        'tsmesh.dev/proxy-memory-limit': '1Gi',
        'tsmesh.dev/log-level': 'debug',
        'cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes': 'data',
      },
    ),
  ),
  concurrency: inputOf(
    podOf({}, { 'tsmesh.dev/proxy-concurrency': '4', 'tsmesh.dev/proxy-memory-limit': '1Gi' }),
  ),
  guaranteed: inputOf(podOf({ containers: [appContainer({ resources: equalResources })] })),
  'mesh-settings': inputOf(podOf({ serviceAccountName: '', terminationGracePeriodSeconds: 0 }), {
    mesh: {
      metadata: { name: 'default' },
      spec: {
        proxy: {
          image: 'corp/proxy:2',
          initImage: 'corp/init:2',
          logLevel: 'warn',
          resources: { requests: { cpu: '10m' }, limits: { memory: '200Mi' } },
        },
      },
    } as Mesh,
    trustDomain: 'corp.example',
  }),
};

describe('a pod with golden file', () => {
  it.each(Object.keys(goldenInputs))('%s becomes what the file says', (name) => {
    const file = new URL(`golden/${name}.yaml`, import.meta.url);
    const input = goldenInputs[name]!;
    const got = injected(input.pod, injectPod(input));
    if (process.env.UPDATE_GOLDEN === '1')
      writeFileSync(file, stringify(got, { lineWidth: 0, aliasDuplicateObjects: false }));
    expect(existsSync(file)).toBe(true);
    expect(got).toEqual(parse(readFileSync(file, 'utf8')));
  });
});

describe('the containers of the mesh', () => {
  it('come before all others, capture first', () => {
    const pod = inject(podOf({ initContainers: [{ name: 'migrate' }] }));
    const names = pod.spec.initContainers!.map(({ name }) => name);
    expect(names).toEqual(['tsmesh-init', 'tsmesh-proxy', 'migrate']);
  });

  it('keep a Guaranteed pod Guaranteed, and its annotations decide how large', () => {
    const containers = [appContainer({ resources: equalResources })];
    const annotations = {
      'tsmesh.dev/proxy-cpu': '300m',
      'tsmesh.dev/proxy-memory-limit': '512Mi',
    };
    const pod = inject(podOf({ containers }, annotations));
    for (const { resources } of pod.spec.initContainers!) {
      expect(resources).toEqual({
        requests: { cpu: '300m', memory: '512Mi' },
        limits: { cpu: '300m', memory: '512Mi' },
      });
    }
  });

  it('are not throttled in a Guaranteed pod by the request that Mesh default sets for all', () => {
    const containers = [appContainer({ resources: equalResources })];
    const resources = { requests: { cpu: '20m', memory: '64Mi' } };
    const mesh = { metadata: { name: 'default' }, spec: { proxy: { resources } } } as Mesh;
    expect(proxyOf(inject(podOf({ containers }), { mesh })).resources!.limits).toEqual({
      cpu: '250m',
      memory: '256Mi',
    });
    const small = podOf({ containers }, { 'tsmesh.dev/proxy-memory': '64Mi' });
    expect(proxyOf(inject(small, { mesh })).resources!.limits!.memory).toBe('96Mi');
  });

  it('never ask for more than their limit, whoever set which', () => {
    const low = inject(podOf({}, { 'tsmesh.dev/proxy-memory-limit': '96Mi' }));
    expect(proxyOf(low).resources).toMatchObject({
      requests: { memory: '96Mi' },
      limits: { memory: '96Mi' },
    });
    const high = inject(podOf({}, { 'tsmesh.dev/proxy-memory': '2Gi' }));
    expect(proxyOf(high).resources).toMatchObject({
      requests: { memory: '2Gi' },
      limits: { memory: '2Gi' },
    });
  });

  it('say nothing of resources where the pod as a whole has limits', () => {
    const pod = inject(podOf({ resources: { limits: { cpu: '1', memory: '1Gi' } } }));
    expect(proxyOf(pod).resources).toEqual({});
    const heap = proxyOf(pod).env!.find(({ name }) => name === 'NODE_OPTIONS');
    expect(heap).toBeUndefined();
  });

  it.each([
    [undefined, 0o444],
    [{ fsGroup: 2000 }, 0o440],
  ])('read the identity by the smallest mode that works (%j)', (securityContext, mode) => {
    const pod = inject(podOf(securityContext === undefined ? {} : { securityContext }));
    const volume = pod.spec.volumes!.find(({ name }) => name === 'tsmesh-identity')!;
    expect(volume.secret).toEqual({ secretName: 'tsmesh-identity-cart', defaultMode: mode });
  });

  it('have the bootstrap without anything that the kubelet would expand', () => {
    const livenessProbe = { httpGet: { path: '/$(HOSTNAME)/$$', port: 80 } };
    const pod = inject(podOf({ containers: [appContainer({ livenessProbe })] }));
    const text = proxyOf(pod).env![0]!.value!;
    expect(text).not.toContain('$');
    expect(bootstrapOf(pod).probes[0]!.check).toMatchObject({ path: '/$(HOSTNAME)/$$' });
  });
});

describe('probes and hooks', () => {
  it('with a port name that the container does not declare stay, with a warning', () => {
    const livenessProbe = { httpGet: { path: '/', port: 'metrics' } };
    const pod = podOf({ containers: [appContainer({ livenessProbe })] });
    const result = injectPod(inputOf(pod));
    expect(result).toMatchObject({ warnings: [expect.stringContaining('"metrics"')] });
    expect(injected(pod, result).spec.containers[0]!.livenessProbe).toEqual(livenessProbe);
  });

  it('with a port number as text are understood', () => {
    const livenessProbe = { tcpSocket: { port: '8080' } };
    const pod = inject(podOf({ containers: [appContainer({ livenessProbe })] }));
    expect(bootstrapOf(pod).probes[0]!.check).toEqual({ type: 'tcp', host: '', port: 8080 });
  });

  it('get no drain hook where the kubelet would not run it', () => {
    const pod = inject(podOf({ terminationGracePeriodSeconds: 0 }));
    expect(pod.spec.containers[0]!.lifecycle).toBeUndefined();
  });

  it('get a drain hook beside a postStart', () => {
    const lifecycle = { postStart: { exec: { command: ['true'] } } };
    const pod = inject(podOf({ containers: [appContainer({ lifecycle })] }));
    expect(pod.spec.containers[0]!.lifecycle).toEqual({
      ...lifecycle,
      preStop: { httpGet: { path: `/drained/${testHookToken}`, port: 15020, scheme: 'HTTP' } },
    });
  });

  it.each(['/drained', `/drained/${'e'.repeat(32)}`])(
    'that ask for the drain at %s, which opens nothing in this pod, get its token',
    (path) => {
      const lifecycle = { preStop: { httpGet: { path, port: 15020 } } };
      const pod = inject(podOf({ containers: [appContainer({ lifecycle })] }));
      expect(hookPathsOf(pod)).toEqual([`/drained/${testHookToken}`, `/drain/${testHookToken}`]);
    },
  );

  it('that ask another pod for its drain stay what they are', () => {
    const httpGet = { path: '/drained', host: '10.0.0.9', port: 15020, scheme: 'HTTP' };
    const pod = podOf({ containers: [appContainer({ lifecycle: { preStop: { httpGet } } })] });
    const twice = inject(inject(pod));
    expect(bootstrapOf(twice).probes[0]!.check).toMatchObject({
      host: '10.0.0.9',
      path: '/drained',
    });
  });
});

describe('a pod is skipped, with the reason, when', () => {
  it('it uses the host network', () => {
    expect(outcome(podOf({ hostNetwork: true }))).toMatchObject({
      result: 'skipped',
      reason: 'HostNetwork',
    });
  });
  it.each([{ os: { name: 'windows' } }, { nodeSelector: { 'kubernetes.io/os': 'windows' } }])(
    'it runs on Windows (%j)',
    (spec) => expect(outcome(podOf(spec))).toMatchObject({ result: 'skipped', reason: 'Windows' }),
  );
  it('it is static', () => {
    const pod = podOf({}, { 'kubernetes.io/config.mirror': 'x' });
    expect(outcome(pod)).toMatchObject({ result: 'skipped', reason: 'StaticPod' });
  });
  it('its annotation or its label says so', () => {
    const off = { 'tsmesh.dev/inject': 'disabled' };
    const on = { 'tsmesh.dev/inject': 'enabled' };
    for (const pod of [podOf({}, off), podOf({}, {}, off), podOf({}, on, off)]) {
      expect(outcome(pod)).toMatchObject({ result: 'skipped', reason: 'OptedOut' });
    }
  });
  it('nobody asked, and then without a word', () => {
    const namespace = namespaceOf('other', {}, {});
    expect(outcome(podOf(), { namespace })).toEqual({
      result: 'skipped',
      reason: 'NotMeshed',
      message: '',
      patch: [],
    });
  });
  it('and loses the stamp of the meshed pod that it was copied from, but not that of a sidecar it has', () => {
    const stamp = { 'tsmesh.dev/injected': 'true' };
    const copy = podOf({}, { 'tsmesh.dev/inject': 'disabled' }, stamp);
    expect(injectPod(inputOf(copy))).toMatchObject({
      patch: [{ op: 'remove', path: '/metadata/labels/tsmesh.dev~1injected' }],
    });
    const sidecar = [{ name: 'tsmesh-proxy' }];
    const meshed = podOf({ initContainers: sidecar }, { 'tsmesh.dev/inject': 'disabled' }, stamp);
    expect(injectPod(inputOf(meshed))).toMatchObject({ result: 'skipped', patch: [] });
  });
});

describe('a pod is injected where', () => {
  it('it asks for itself in a namespace that is not meshed', () => {
    const namespace = namespaceOf('other', {}, {});
    const label = { 'tsmesh.dev/inject': 'enabled' };
    expect(outcome(podOf({}, {}, label), { namespace }).result).toBe('injected');
  });
  it('its namespace carries the label only', () => {
    const namespace = namespaceOf('shop', { 'tsmesh.dev/inject': 'enabled' }, {});
    expect(outcome(podOf(), { namespace }).result).toBe('injected');
  });
});

describe('a pod is refused, with what to change, when', () => {
  const cases: [string, Partial<PodSpec>, string][] = [
    [
      'the pod has the user of the sidecar',
      { securityContext: { runAsUser: 15086 } },
      'the pod: securityContext.runAsUser 15086',
    ],
    ['the pod has its group', { securityContext: { runAsGroup: 15086 } }, 'runAsGroup 15086'],
    ['the pod has its group for files', { securityContext: { fsGroup: 15086 } }, 'fsGroup 15086'],
    [
      'the pod has it among others',
      { securityContext: { supplementalGroups: [1, 15086] } },
      'supplementalGroups 15086',
    ],
    [
      'a container has its user',
      { containers: [appContainer({ securityContext: { runAsUser: 15086 } })] },
      'container app: securityContext.runAsUser',
    ],
    [
      'an init container has its group',
      { initContainers: [{ name: 'i', securityContext: { runAsGroup: 15086 } }] },
      'container i: securityContext.runAsGroup',
    ],
    [
      'an ephemeral container has its user',
      { ephemeralContainers: [{ name: 'e', securityContext: { runAsUser: 15086 } }] },
      'container e: securityContext.runAsUser',
    ],
    [
      'a container has the name of the sidecar',
      { containers: [appContainer({ name: 'tsmesh-proxy' })] },
      'container tsmesh-proxy',
    ],
    [
      'an init container has the name of the capture',
      { initContainers: [{ name: 'tsmesh-init' }] },
      'container tsmesh-init',
    ],
    [
      'a volume has a name of the mesh',
      { volumes: [{ name: 'tsmesh-state' }] },
      'volume tsmesh-state',
    ],
    [
      'it would capture the traffic of the node',
      { hostNetwork: true, initContainers: [{ name: 'tsmesh-init' }] },
      "capture the node's traffic",
    ],
    ...[15001, 15006, 15020].map((port): [string, Partial<PodSpec>, string] => [
      `a container declares port ${port}`,
      { containers: [appContainer({ ports: [{ containerPort: port }] })] },
      `port ${port} belongs to the sidecar`,
    ]),
  ];
  it.each(cases)('%s', (_, spec, text) => {
    const got = outcome(podOf(spec));
    expect(got.result).toBe('refused');
    expect(got.message).toContain(text);
  });

  it('the value of inject is neither enabled nor disabled', () => {
    for (const pod of [
      podOf({}, { 'tsmesh.dev/inject': 'true' }),
      podOf({}, {}, { 'tsmesh.dev/inject': 'yes' }),
    ]) {
      expect(outcome(pod)).toMatchObject({
        result: 'refused',
        message: expect.stringContaining('valid: enabled or disabled'),
      });
    }
  });

  it('it asks for itself in a protected namespace', () => {
    const namespace = namespaceOf('kube-system', {}, {});
    const got = outcome(podOf({}, { 'tsmesh.dev/inject': 'enabled' }), { namespace });
    expect(got).toMatchObject({ result: 'refused', reason: 'ProtectedNamespace' });
  });

  it('but not for a UDP port with the number of one of the sidecar', () => {
    const ports = [{ containerPort: 15006, protocol: 'UDP' }];
    expect(outcome(podOf({ containers: [appContainer({ ports })] })).result).toBe('injected');
  });
});

describe('Pod Security', () => {
  it.each(['baseline', 'restricted'])('%s is warned of', (level) => {
    const namespace = namespaceOf('shop', { 'pod-security.kubernetes.io/enforce': level });
    expect(injectPod(inputOf(podOf(), { namespace }))).toMatchObject({
      warnings: [expect.stringContaining(`"${level}"`)],
    });
  });
});

describe('shared processes', () => {
  it('are warned of', () => {
    expect(injectPod(inputOf(podOf({ shareProcessNamespace: true })))).toMatchObject({
      warnings: [expect.stringContaining('shareProcessNamespace')],
    });
  });
});

describe('a pod that the API server will refuse anyway', () => {
  it.each([
    {},
    { hostNetwork: true },
    { containers: [{ name: 'a', livenessProbe: { httpGet: {} } }] },
  ])('is no reason to fail (%j)', (spec) => {
    const pod = { metadata: { name: 'a' }, spec } as unknown as Pod;
    expect(['injected', 'skipped']).toContain(outcome(pod).result);
  });
});

// Pods of many shapes, as far as injection looks at them.
const probe = fc.oneof(
  fc.record({ httpGet: fc.record({ path: fc.webPath(), port: fc.constantFrom(80, 'http') }) }),
  fc.record({ tcpSocket: fc.record({ port: fc.constantFrom(81, 'http', 'none') }) }),
  fc.record({ grpc: fc.record({ port: fc.constant(9) }), timeoutSeconds: fc.constant(4) }),
  fc.record({ exec: fc.constant({ command: ['x'] }) }),
);
const lifecycle = fc.record({ preStop: probe, postStart: probe }, { requiredKeys: [] });
const parts = fc.record(
  {
    livenessProbe: probe,
    readinessProbe: probe,
    startupProbe: probe,
    lifecycle,
    resources: fc.constantFrom({}, equalResources),
  },
  { requiredKeys: [] },
);
const pods = fc
  .record({
    apps: fc.array(parts, { minLength: 1, maxLength: 3 }),
    sidecars: fc.array(parts, { maxLength: 2 }),
    grace: fc.constantFrom(0, 30),
    volumes: fc.constantFrom(undefined, 'data'),
    memory: fc.constantFrom('128Mi', '1Gi'),
  })
  .map(({ apps, sidecars, grace, volumes, memory }) =>
    podOf(
      {
        containers: apps.map((app, i) => appContainer({ name: `app-${i}`, ...app } as Container)),
        initContainers: sidecars.map(
          (one, i) => ({ name: `side-${i}`, restartPolicy: 'Always', ...one }) as Container,
        ),
        terminationGracePeriodSeconds: grace,
        ...(volumes !== undefined && { volumes: [{ name: volumes }] }),
      },
      { 'tsmesh.dev/proxy-memory': memory },
    ),
  );

describe('a second injection', () => {
  it('changes nothing', () => {
    fc.assert(
      fc.property(pods, (pod) => {
        const once = inject(pod);
        expect(injectPod(inputOf(once))).toMatchObject({ result: 'injected', patch: [] });
        expect(isInjected(once)).toBe(true);
      }),
    );
  });

  it('keeps the token of the first, and gives it to a container that came in between', () => {
    const other = 'f'.repeat(32);
    const once = inject(podOf());
    expect(injectPod(inputOf(once, { freshHookToken: other }))).toMatchObject({ patch: [] });
    once.spec.containers.unshift(appContainer({ name: 'late' }));
    const twice = inject(once, { freshHookToken: other });
    expect(bootstrapOf(twice).hookToken).toBe(testHookToken);
    expect(hookPathsOf(twice)).toEqual([`/drained/${testHookToken}`, `/drain/${testHookToken}`]);
  });

  it.each([undefined, '', 7, `/${testHookToken}`, testHookToken.slice(1)])(
    'makes a token where the first left none that can be one (%j)',
    (left) => {
      const once = inject(podOf());
      const variable = proxyOf(once).env![0]!;
      variable.value = JSON.stringify({ ...bootstrapOf(once), hookToken: left });
      const other = 'f'.repeat(32);
      const twice = inject(once, { freshHookToken: other });
      expect(bootstrapOf(twice).hookToken).toBe(other);
      expect(hookPathsOf(twice)).toEqual([`/drained/${other}`, `/drain/${other}`]);
    },
  );

  it('brings a container that another webhook added to where one injection of both would be', () => {
    fc.assert(
      fc.property(pods, parts, (pod, added) => {
        const late = appContainer({ name: 'late', ...added } as Container);
        const both = structuredClone(pod);
        both.spec.containers.push(late);
        const first = inject(pod);
        first.spec.containers.push(structuredClone(late));
        expect(inject(first)).toEqual(inject(both));
      }),
    );
  });

  it('refuses what another webhook broke', () => {
    const pod = inject(podOf());
    pod.spec.containers.push(appContainer({ name: 'late', securityContext: { runAsUser: 15086 } }));
    expect(outcome(pod)).toMatchObject({ result: 'refused' });
  });

  it('keeps limits that a LimitRange gave the sidecar', () => {
    const pod = inject(podOf());
    proxyOf(pod).resources!.limits!.cpu = '2';
    expect(proxyOf(inject(pod)).resources!.limits).toEqual({ cpu: '2', memory: '512Mi' });
  });

  it('takes the token away that the API server mounted into the sidecar', () => {
    const pod = inject(podOf());
    proxyOf(pod).volumeMounts!.push({ name: 'kube-api-access', mountPath: '/var/run/secrets' });
    expect(proxyOf(inject(pod)).volumeMounts).toHaveLength(2);
  });
});
