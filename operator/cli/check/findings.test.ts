import { describe, expect, it } from '@jest/globals';
import { issue, newAuthority } from '../../../test/support/identity-files.ts';
import { pod as podOf } from '../../model/test-objects.ts';
import type { SidecarRow } from '../../telemetry/sidecars.ts';
import type { Facts } from './facts.ts';
import { findingsOf } from './findings.ts';

const hour = 3_600_000;
const day = 24 * hour;

const nowMs = Date.parse('2026-11-23T00:00:00Z');
const kinds = [
  'meshes',
  'meshstatuses',
  'peerauthentications',
  'trafficpolicies',
  'authorizationpolicies',
];
const hooks = {
  value: { metadata: { name: 'tsmesh' }, webhooks: [{ clientConfig: { caBundle: 'x' } }] },
};

function row(given: Partial<SidecarRow> = {}): SidecarRow {
  return {
    namespace: 'shop',
    pod: 'a',
    workload: 'Deployment/a',
    state: 'synced',
    version: '1.0.0',
    replica: 'operator-1',
    connectedAtMs: 0,
    certificateEndMs: nowMs + 86_400_000,
    destinations: 1,
    rejections: [],
    ...given,
  };
}

function sidecars(...rows: SidecarRow[]): Facts['sidecars'] {
  const operator = { replica: 'operator-1', version: '1.0.0', leading: true };
  return { value: { operator, atMs: nowMs, sidecars: rows } };
}

function node(architecture: string, operatingSystem = 'linux') {
  return { metadata: { name: 'n' }, status: { nodeInfo: { architecture, operatingSystem } } };
}

function version(minor: number, dateMs = nowMs): Facts['server'] {
  return { value: { version: `v1.${minor}.1`, major: 1, minor, dateMs } };
}

function meshed(name: string, labels: Record<string, string> = { 'tsmesh.dev/inject': 'enabled' }) {
  return { metadata: { name, labels, annotations: { 'tsmesh.dev/inject': 'enabled' } } };
}

/** The kubelet's own time, and when the API server got it. */
function lease(renewTime: string, time: string) {
  const managedFields = [{ time, fieldsV1: { 'f:spec': { 'f:renewTime': {} } } }];
  const metadata = { name: 'n1', managedFields };
  return { value: [{ metadata, spec: { renewTime } }] };
}

function facts(given: Partial<Facts> = {}): Facts {
  return {
    localMs: nowMs,
    server: version(34),
    nodes: { value: [node('amd64')] },
    nodeLeases: { value: [] },
    kinds: { value: kinds },
    operator: {
      value: { metadata: { name: 'o' }, spec: { replicas: 1 }, status: { availableReplicas: 1 } },
    },
    webhooks: [hooks, hooks],
    mesh: { value: { metadata: { name: 'default' }, spec: {} } },
    namespaces: { value: [meshed('shop')] },
    policies: { TrafficPolicy: { value: [] } },
    sidecars: sidecars(row()),
    pods: { value: [] },
    rights: { value: [] },
    operatorRights: { value: [] },
    ...given,
  };
}

function problems(given: Partial<Facts>): string[] {
  return findingsOf(facts(given), '1.0.0')
    .filter(({ level }) => level !== 'ok')
    .map(({ level, check, text, remedy }) => `${level} ${check}: ${text} → ${remedy}`);
}

describe('a check of the mesh', () => {
  it('finds nothing where all is well, and says what it looked at', () => {
    const found = findingsOf(facts(), '1.0.0');
    expect(found.map(({ level, check }) => `${level} ${check}`)).toEqual([
      'ok kubernetes',
      'ok clocks',
      'ok resources',
      'ok operator',
      'ok rights',
      'ok webhooks',
      'ok webhooks',
      'ok mesh',
      'ok namespaces',
      'ok policies',
      'ok sidecars',
      'ok capture',
    ]);
  });

  const failing = podOf('shop/b');
  failing.status!.initContainerStatuses = [
    {
      name: 'tsmesh-init',
      ready: false,
      state: { terminated: { exitCode: 1, message: 'no nft' } },
    },
  ];
  const bareHooks = { value: { metadata: { name: 'tsmesh' }, webhooks: [{ clientConfig: {} }] } };
  const replicas = (wanted: number, availableReplicas: number): Facts['operator'] => ({
    value: { metadata: { name: 'o' }, spec: { replicas: wanted }, status: { availableReplicas } },
  });
  const lost = {
    type: 'CAReady',
    status: 'False' as const,
    reason: 'KeyLost',
    message: 'gone',
    lastTransitionTime: '',
    observedGeneration: 1,
  };

  it.each<[string, Partial<Facts>, string]>([
    ['an old Kubernetes', { server: version(29) }, 'error kubernetes: version v1.29.1 is too old'],
    [
      'no node for sidecars',
      { nodes: { value: [node('s390x'), node('amd64', 'windows')] } },
      'error kubernetes: no node can run',
    ],
    [
      'a clock that is off',
      { localMs: nowMs + 130_000 },
      'warning clocks: this machine and the API server differ by 2m10s',
    ],
    [
      'a node ahead',
      { nodeLeases: lease('2026-11-23T00:05:00.5Z', '2026-11-23T00:00:00Z') },
      'error clocks: nodes ahead of the API server: n1 by 5m',
    ],
    [
      'a node behind',
      { nodeLeases: lease('2026-11-22T23:59:30.5Z', '2026-11-23T00:00:00Z') },
      'warning clocks: nodes behind the API server: n1 by 29s',
    ],
    [
      'a namespace that the webhooks do not see',
      { namespaces: { value: [meshed('shop', {})] } },
      'error namespaces: annotated, but without the label that brings sidecars: shop',
    ],
    [
      'a namespace that refuses sidecars',
      {
        namespaces: {
          value: [
            meshed('pay', {
              'tsmesh.dev/inject': 'enabled',
              'pod-security.kubernetes.io/enforce': 'restricted',
            }),
          ],
        },
      },
      'error namespaces: Pod Security refuses tsmesh-init (NET_ADMIN): pods will not start in pay',
    ],
    [
      'that nothing is meshed',
      { namespaces: { value: [] } },
      'warning namespaces: none is meshed → kubectl annotate namespace NAME tsmesh.dev/inject=enabled',
    ],
    [
      'a policy that is not in force',
      {
        policies: {
          TrafficPolicy: {
            value: [
              {
                metadata: { name: 'cart', namespace: 'shop' },
                status: {
                  conditions: [
                    { ...lost, type: 'Accepted', reason: 'Conflicted', message: 'older' },
                  ],
                },
              },
            ],
          },
        },
      },
      'warning policies: TrafficPolicy shop/cart: Conflicted: older → kubectl get trafficpolicy cart -n shop',
    ],
    [
      'a kind that is missing',
      { kinds: { value: kinds.slice(1) } },
      'error resources: the API server does not know: meshes → kubectl apply -k crds',
    ],
    ['no operator', { operator: { missing: true } }, 'error operator: there is no Deployment'],
    [
      'an operator scaled to none',
      { operator: replicas(0, 0) },
      '→ kubectl -n tsmesh-system scale',
    ],
    ['a replica that is not ready', { operator: replicas(2, 1) }, 'warning operator: 1 of 2 ready'],
    [
      'no webhooks',
      { webhooks: [{ missing: true }, hooks] },
      'error webhooks: there are no mutating webhooks',
    ],
    [
      'webhooks that nobody trusts',
      { webhooks: [hooks, bareHooks] },
      'error webhooks: validating webhooks without caBundle',
    ],
    [
      'a CA that is lost',
      {
        mesh: {
          value: { metadata: { name: 'default' }, spec: {}, status: { conditions: [lost] } },
        },
      },
      'error mesh: CAReady, KeyLost: gone',
    ],
    [
      'a refusal',
      { sidecars: sidecars(row({ state: 'rejected' })) },
      'error sidecars: refused what they were sent: shop/a',
    ],
    [
      'a lost sidecar',
      { sidecars: sidecars(row({ state: 'disconnected', replica: '', version: '' })) },
      'error sidecars: without the operator: shop/a',
    ],
    [
      'a pod without a sidecar',
      { sidecars: sidecars(row({ state: 'none', version: '' })) },
      'warning sidecars: pods of meshed namespaces without a sidecar: shop/a',
    ],
    [
      'a certificate that ends',
      { sidecars: sidecars(row({ certificateEndMs: nowMs + 60_000 })) },
      'error sidecars: certificates that end within the hour: shop/a',
    ],
    [
      'an older sidecar',
      { sidecars: sidecars(row({ version: '0.9.0' })) },
      'warning sidecars: of another version than the operator (1.0.0): shop/a',
    ],
    [
      'redirection that failed',
      { pods: { value: [failing] } },
      'error capture: pod shop/b: no nft → kubectl logs -n shop b -c tsmesh-init',
    ],
    [
      'what may not be read',
      { pods: { unread: 'forbidden' } },
      'unchecked capture: the pods: forbidden',
    ],
  ])('finds %s', (_what, given, words) => {
    const found = problems(given);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(words);
  });

  it('names the backends of iptables that pods redirect by', () => {
    const podWith = (name: string, message: string) => {
      const pod = podOf(name);
      pod.status!.initContainerStatuses = [
        {
          name: 'tsmesh-init',
          ready: true,
          state: { terminated: { exitCode: 0, message } },
        },
      ];
      return pod;
    };
    const by = (backend: string) =>
      `ipv4 captured with iptables (${backend}); ipv6 captured with iptables (${backend})`;
    const pods = [
      podWith('shop/a', by('nft')),
      podWith('shop/b', by('nft')),
      podWith('shop/c', by('legacy')),
      podWith('shop/older', ''),
    ];
    const found = findingsOf(facts({ pods: { value: pods } }), '1.0.0');
    expect(found.find(({ check }) => check === 'capture')).toMatchObject({
      level: 'ok',
      text: 'traffic is redirected: 2 pods by iptables nft, 1 pod by iptables legacy',
    });
  });

  it('says of clocks that agree how many it looked at', () => {
    const found = findingsOf(
      facts({ nodeLeases: lease('2026-11-23T00:00:00.9Z', '2026-11-23T00:00:01Z') }),
      '1.0.0',
    );
    expect(found.find(({ check }) => check === 'clocks')).toMatchObject({
      level: 'ok',
      text: 'agree: the API server, this machine, 1 node',
    });
  });

  it('tells what the operator itself may not do', () => {
    const operatorRights = {
      value: [
        { right: 'list pods', allowed: true },
        { right: 'patch namespaces', allowed: false },
      ],
    };
    expect(problems({ operatorRights })).toEqual([
      'error rights: the operator may not: patch namespaces → kubectl apply -k config/default',
    ]);
    expect(problems({ operatorRights: { unread: 'forbidden' } })).toEqual([
      'unchecked rights: whether the operator has its rights: forbidden → run it as somebody who may read it',
    ]);
  });

  it.each([
    [40, []],
    [20, ['warning certificates: the root ends in 20d']],
    [3, ['error certificates: the root ends in 3d1h']],
    [-1, ['error certificates: the root has ended']],
  ])('looks how long the root is valid: %s days', (days, expected) => {
    const madeMs = nowMs - 100 * day;
    const authority = newAuthority(madeMs, (100 + days) * day + hour);
    const { rootsPem } = issue(authority, { serviceAccount: 'a', nowMs: madeMs });
    const caBundle = Buffer.from(rootsPem).toString('base64');
    const hook = { metadata: { name: 'tsmesh' }, webhooks: [{ clientConfig: { caBundle } }] };
    const found = problems({ webhooks: [{ value: hook }, { value: hook }] });
    expect(found.map((one) => one.split(' → ')[0])).toEqual(expected);
  });

  it('names some of many', () => {
    const rows = Array.from({ length: 9 }, (_, i) => row({ pod: `p${i}`, state: 'rejected' }));
    expect(problems({ sidecars: sidecars(...rows) })[0]).toContain('shop/p4 and 4 more');
  });

  it('says that the tool is of another version', () => {
    const found = findingsOf(facts(), '1.1.0').filter(({ level }) => level !== 'ok');
    expect(found.map(({ text }) => text)).toEqual([
      'version 1.0.0, and this tool is of version 1.1.0',
    ]);
  });

  it('asks before an installation what that needs', () => {
    const bare: Partial<Facts> = {
      kinds: { missing: true },
      operator: { missing: true },
      rights: { value: [{ right: 'create clusterroles', allowed: false }] },
    };
    expect(problems(bare)).toEqual([
      'warning installation: tsmesh is not installed → kubectl apply -k config/default',
      'error rights: this user may not: create clusterroles → install as a cluster administrator',
    ]);
    const may = { ...bare, rights: { value: [{ right: 'create clusterroles', allowed: true }] } };
    expect(problems(may)).toHaveLength(1);
  });
});
