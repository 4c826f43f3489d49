import { describe, expect, it } from '@jest/globals';
import type { MeshStatusStatus } from '../resources/tsmesh.ts';
import { usedServiceAccounts } from './identity.ts';
import { decideRow } from './mesh-status.ts';
import { decideNamespace } from './namespace.ts';
import { namespaceOf, podOf, viewOf } from './test-world.ts';
import { rootsInWebhooks, withCaBundle } from './webhook-configuration.ts';

const columns = {
  synced: '1/1',
  mtls: '100',
  certificates: '23h',
  requestRate: '1',
  success: '100',
  p99: '1ms',
  versions: '0.1.0',
  rejecting: 0,
  skipped: 0,
  problems: 0,
};
const nowMs = Date.parse('2026-06-01T00:00:00Z');
const healthy = { type: 'Healthy', status: 'True', reason: 'AllWell', message: 'well' } as const;
const since = (time: string) => ({ ...healthy, observedGeneration: 1, lastTransitionTime: time });

const status = (requests: number, more: Partial<MeshStatusStatus> = {}): MeshStatusStatus => ({
  columns,
  proxies: '1/1',
  readyProxies: 1,
  wantedProxies: 1,
  inSync: 1,
  mtlsPercent: '100',
  window: { end: '2026-06-01T00:00:00Z', seconds: 60 },
  requestRate: '1',
  successRate: '100',
  p50: '1ms',
  p99: '1ms',
  requests,
  failures: 0,
  connections: 0,
  denied: 0,
  ...more,
});

describe('MeshStatus rows', () => {
  const conditions = [since('2026-05-01T00:00:00Z')];

  const decide = (before: MeshStatusStatus | null, after: MeshStatusStatus, sinceMs = 10_000) => {
    const existing = before === null ? undefined : { metadata: { name: 'a' }, status: before };
    const row = { name: 'a', status: after, verdicts: [healthy] };
    return decideRow(existing, row, { wallTimeMs: nowMs, sinceMs });
  };

  it('are made where they are missing', () => {
    expect(decide(null, status(2))).toEqual({
      change: {
        action: 'create',
        name: 'a',
        status: { ...status(2), conditions: [since('2026-06-01T00:00:00Z')] },
      },
      difference: 'shown',
    });
  });

  it('are left alone where nothing changed, whatever the order of fields', () => {
    const before = { ...status(2), conditions };
    const reversed = Object.fromEntries(Object.entries(before).toReversed());
    expect(decide(reversed as unknown as MeshStatusStatus, status(2))).toBeNull();
    const later = { window: { end: '2026-06-01T00:00:10Z', seconds: 60 } };
    expect(decide(before, status(2, later))).toBeNull();
  });

  it('are changed in the fields that differ, and lose those that went', () => {
    const more = { nearestExpiry: '2026-06-01T12:00:00Z', conditions };
    expect(decide(status(2, more), status(3))?.change).toEqual({
      action: 'update',
      name: 'a',
      patch: { requests: 3, nearestExpiry: null },
    });
  });

  it('keep the time at which their health changed', () => {
    const ill = { ...healthy, status: 'False', reason: 'OutOfSync' } as const;
    const row = { name: 'a', status: status(2), verdicts: [ill] };
    const existing = { metadata: { name: 'a' }, status: status(2, { conditions }) };
    const found = decideRow(existing, row, { wallTimeMs: nowMs, sinceMs: 0 });
    expect(found).toEqual({
      change: {
        action: 'update',
        name: 'a',
        patch: {
          conditions: [{ ...since('2026-06-01T00:00:00Z'), status: 'False', reason: 'OutOfSync' }],
        },
      },
      difference: 'shown',
    });
  });
});

describe('a namespace', () => {
  const key = 'tsmesh.dev/inject';
  const annotated = (value: string, label?: string) =>
    namespaceOf('shop', {
      annotations: { [key]: value },
      ...(label === undefined ? {} : { labels: { [key]: label } }),
    });

  it.each([
    ['gets the label that its annotation asks for', annotated('enabled'), 'enabled', true],
    ['gets a wrong label corrected', annotated('disabled', 'enabled'), 'disabled', false],
    ['is left alone where both agree', annotated('enabled', 'enabled'), undefined, true],
    ['that says nothing is left alone', namespaceOf('shop'), undefined, false],
  ])('%s', (_, namespace, mirror, meshed) => {
    expect(decideNamespace(namespace, false)).toEqual({
      mirror,
      meshed,
      complaint: '',
      podSecurity: null,
    });
  });

  it.each(['baseline', 'restricted'])(
    'that enforces Pod Security %s is told why its pods will be refused, and what to do',
    (level) => {
      const namespace = annotated('enabled', 'enabled');
      namespace.metadata.labels!['pod-security.kubernetes.io/enforce'] = level;
      const { podSecurity } = decideNamespace(namespace, false);
      expect(podSecurity).toContain('NET_ADMIN');
      expect(podSecurity).toContain('pod-security.kubernetes.io/enforce=privileged');
      namespace.metadata.annotations = { 'tsmesh.dev/inject': 'disabled' };
      expect(decideNamespace(namespace, false).podSecurity).toBeNull();
    },
  );

  it('with a value that means nothing is left as it is, and told what is valid', () => {
    const decision = decideNamespace(annotated('maybe'), false);
    expect(decision).toMatchObject({ mirror: undefined, meshed: false });
    expect(decision.complaint).toMatch(/maybe.*enabled or disabled/);
  });

  it('of the system is never meshed', () => {
    const system = namespaceOf('kube-system', { annotations: { [key]: 'enabled' } });
    expect(decideNamespace(system, false)).toMatchObject({ meshed: false });
    expect(decideNamespace(system, false).complaint).toContain('kube-system');
  });

  it('keeps its identities while meshed pods run, whatever it says by now', () => {
    expect(decideNamespace(annotated('disabled', 'disabled'), true).meshed).toBe(true);
  });
});

describe('identities', () => {
  it('are kept for the service accounts of meshed pods that live, each once', () => {
    const meshed = { 'tsmesh.dev/injected': 'true' };
    const ended = podOf('ended', meshed);
    const [, pod] = ended;
    const done = {
      ...pod,
      spec: { containers: [], serviceAccountName: 'job' },
      status: { phase: 'Succeeded' },
    };
    const view = viewOf([podOf('a', meshed), podOf('bb', meshed), podOf('plain'), ['Pod', done]]);
    expect([...usedServiceAccounts(view)]).toEqual(['shop/app']);
  });
});

describe('a webhook configuration', () => {
  const roots = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
  const caBundle = Buffer.from(roots).toString('base64');
  const service = { name: 'tsmesh-operator' };
  const configuration = (...bundles: (string | undefined)[]) => ({
    metadata: { name: 'tsmesh' },
    webhooks: bundles.map((bundle, i) => ({
      name: `w${i}`,
      clientConfig: { service, ...(bundle === undefined ? {} : { caBundle: bundle }) },
    })),
  });

  it('gets the roots in every webhook, and keeps everything else', () => {
    const written = withCaBundle(configuration(undefined, 'b2xk', caBundle), roots);
    expect(written).toEqual(configuration(caBundle, caBundle, caBundle).webhooks);
  });

  it('is left alone where all have them', () => {
    expect(withCaBundle(configuration(caBundle, caBundle), roots)).toBeNull();
  });

  it('tells the roots that the cluster trusts, to tell a first start from a lost CA', () => {
    expect(rootsInWebhooks([configuration(undefined), configuration(caBundle)])).toBe(roots);
    expect(rootsInWebhooks([configuration(undefined, '')])).toBeNull();
  });
});
