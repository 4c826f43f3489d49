// The cache against the truth: after any series of changes every translation is what a fresh operator
// would make of the same objects. A dependency that a translation forgot to name fails here.

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createModel } from '../model/model.ts';
import type { ModelKind } from '../model/model.ts';
import {
  ManualClock,
  authorizationPolicy,
  mesh,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
} from '../model/test-objects.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import type { RouteSpec } from '../resources/tsmesh.ts';
import { createTranslations } from './translations.ts';
import type { Translations } from './translations.ts';

type Step = { kind: ModelKind; object: KubeObject } | { kind: ModelKind; remove: string };

const addresses = ['10.0.0.1', '10.0.0.2', 'fd00::1'];
const virtual = ['10.96.0.1', '10.96.0.2', 'None'];
const names = ['a', 'b'];
const pick = <T>(list: readonly T[]) => fc.constantFrom(...list);
const mode = pick(['STRICT', 'PERMISSIVE', 'DISABLE', 'UNSET'] as const);
const created = pick(['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z']);
const key = pick(names).map((name) => `shop/${name}`);
const app = pick(names).map((value) => ({ app: value }));

const pods = fc
  .record({
    key,
    ip: pick(addresses),
    labels: app,
    meshed: fc.boolean(),
    deleted: fc.boolean(),
    hostNetwork: fc.boolean(),
    phase: pick(['Running', 'Succeeded']),
    nodeName: pick(['n1', 'n2']),
  })
  .map(({ key: name, ...options }) => ({
    kind: 'Pod' as const,
    object: pod(name, { ...options, ports: [{ name: 'web', containerPort: 8080 }] }),
  }));

const services = fc
  .record({
    key,
    ip: pick(virtual),
    port: pick(['http', 'tcp']),
    target: pick<number | string>(['web', 8080, 9000]),
    selector: app,
    unready: fc.boolean(),
    type: pick(['ClusterIP', 'ExternalName']),
    trafficDistribution: pick([undefined, 'PreferClose']),
  })
  .map(({ key: name, ip, port, target, unready, ...spec }) => ({
    kind: 'Service' as const,
    object: service(name, ip, [{ name: port, port: 80, targetPort: target }], {
      ...spec,
      publishNotReadyAddresses: unready,
    }),
  }));

const slices = fc
  .record({
    key,
    list: fc.array(
      fc.record({
        address: pick(addresses.slice(0, 2)),
        pod: pick(names),
        ready: fc.boolean(),
        node: pick(['n1', 'n2']),
        zone: pick(['x', 'y', '']),
        forZones: pick([['x'], []]),
      }),
      { maxLength: 3 },
    ),
    port: pick(['http', 'tcp']),
  })
  .map(({ key: name, list, port }) => ({
    kind: 'EndpointSlice' as const,
    object: slice(name, list, [{ name: port, port: 8080 }]),
  }));

const peerAuthentications = fc
  .record({ key, mode, portMode: mode, wide: fc.boolean(), selector: app, created })
  .map(({ key: name, wide, selector, portMode, mode: own, created: creationTimestamp }) => ({
    kind: 'PeerAuthentication' as const,
    object: peerAuthentication(
      name,
      {
        ...(wide ? {} : { selector: { matchLabels: selector } }),
        mtls: { mode: own },
        portLevelMtls: { 8080: { mode: portMode } },
      },
      { creationTimestamp },
    ),
  }));

interface RouteParts {
  backend: string;
  subset: string;
  mirror: string;
  labels: Record<string, string>;
  namespaces: string[];
}

function routesOf({ backend, subset, mirror, labels, namespaces }: RouteParts): RouteSpec[] {
  return [
    { matches: [{ source: { labels } }], backends: [{ subset }] },
    { matches: [{ source: { namespaces } }], mirrors: [{ service: mirror }] },
    { backends: [{ service: backend }, { subset }] },
  ];
}

const trafficPolicies = fc
  .record({
    key,
    target: pick(names),
    backend: pick(['a', 'b', 'c']),
    subset: pick(['v', 'w']),
    port: pick([80, undefined]),
    timeout: pick(['1s', 'soon']),
    labels: app,
    namespaces: pick([['shop'], ['other']]),
    mirror: pick(['a', 'b', 'c']),
    requests: pick([1, 2]),
    created,
  })
  .map(({ key: name, target, port, timeout, requests, created: creationTimestamp, ...route }) => ({
    kind: 'TrafficPolicy' as const,
    object: trafficPolicy(
      name,
      {
        service: { name: target, ...(port === undefined ? {} : { port }) },
        subsets: [{ name: 'v', labels: { app: 'a' } }],
        routes: routesOf(route),
        rateLimits: [{ name: 'all', requests }],
        timeout,
      },
      { creationTimestamp },
    ),
  }));

const authorizationPolicies = fc
  .record({
    key,
    where: pick(['shop', 'shop', 'tsmesh-system']),
    wide: fc.boolean(),
    selector: app,
    action: pick(['ALLOW', 'DENY', 'AUDIT'] as const),
    dryRun: fc.boolean(),
    port: pick([80, 90, 0]),
    created,
  })
  .map(
    ({ key: name, where, wide, selector, action, dryRun, port, created: creationTimestamp }) => ({
      kind: 'AuthorizationPolicy' as const,
      object: authorizationPolicy(
        name.replace('shop/', `${where}/`),
        {
          ...(wide ? {} : { selector: { matchLabels: selector } }),
          action,
          rules: [{ to: [{ ports: [port] }] }],
        },
        { creationTimestamp, annotations: { 'tsmesh.dev/dry-run': String(dryRun) } },
      ),
    }),
  );

const meshes = mode.map((own) => ({
  kind: 'Mesh' as const,
  object: mesh({ mtls: { mode: own === 'UNSET' ? 'STRICT' : own } }),
}));

const removals = fc
  .record({
    kind: pick([
      'Pod',
      'Service',
      'EndpointSlice',
      'PeerAuthentication',
      'TrafficPolicy',
      'AuthorizationPolicy',
    ] as const),
    name: pick(names),
  })
  .map(({ kind, name }) => ({ kind, remove: kind === 'EndpointSlice' ? `${name}-1` : name }));

const step: fc.Arbitrary<Step> = fc.oneof(
  pods,
  services,
  slices,
  peerAuthentications,
  trafficPolicies,
  authorizationPolicies,
  meshes,
  removals,
);

function everything(translations: Translations): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  const wanted = [...addresses, ...virtual.slice(0, 2)].flatMap((address) =>
    [80, 8080].map((port) =>
      address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
    ),
  );
  const endpoints = new Set(['shop/a:80', 'shop/b:80/app=a', 'pod/10.0.0.1:8080']);
  for (const name of wanted) {
    const made = translations.destination('shop', name)!;
    all[made.key] = [made.version, made.shapedBy];
    for (const referred of made.endpoints) endpoints.add(referred);
  }
  for (const name of endpoints) {
    const made = translations.endpoints(name);
    all[made.key] = [made.version, made.shapedBy];
  }
  for (const name of names) {
    const made = translations.workload(`shop/${name}`);
    all[`Workload/${name}`] = made === null ? null : [made.version, made.shapedBy];
  }
  return all;
}

function take(model: ReturnType<typeof createModel>, one: Step): void {
  if ('object' in one) model.upsert(one.kind, one.object);
  else model.remove(one.kind, 'shop', one.remove);
}

/** Two Services with a meshed pod each: what most changes need to show. */
const base: Step[] = names.flatMap((name, i): Step[] => [
  {
    kind: 'Pod',
    object: pod(`shop/${name}`, {
      ip: addresses[i]!,
      labels: { app: name },
      ports: [{ name: 'web', containerPort: 8080 }],
    }),
  },
  {
    kind: 'Service',
    object: service(`shop/${name}`, virtual[i]!, [{ name: 'http', port: 80, targetPort: 'web' }]),
  },
  {
    kind: 'EndpointSlice',
    object: slice(
      `shop/${name}`,
      [{ address: addresses[i]!, pod: name }],
      [{ name: 'http', port: 8080 }],
    ),
  },
]);

describe('translations after any series of changes', () => {
  it('are those of an operator that has just started', () => {
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 2 }), { maxLength: 8 }), (changes) => {
        const rounds = [base, ...changes];
        const model = createModel({ clock: new ManualClock() });
        const translations = createTranslations();
        model.onView((view, change) => translations.advance(view, change));
        for (const round of rounds) {
          for (const one of round) take(model, one);
          model.flush();
          everything(translations);
        }
        const fresh = createModel({ clock: new ManualClock() });
        const truth = createTranslations();
        fresh.onView((view, change) => truth.advance(view, change));
        for (const one of rounds.flat()) take(fresh, one);
        fresh.flush();
        expect(everything(translations)).toEqual(everything(truth));
      }),
      { numRuns: 500 },
    );
  });
});
