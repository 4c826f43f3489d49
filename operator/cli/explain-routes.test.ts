// `tsmesh explain` of calls under TrafficPolicies: what the caller's sidecar would do, asked of its own code.

import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import type { TrafficPolicySpec } from '../resources/tsmesh.ts';
import type { Answer } from './explain/answer.ts';
import { run } from './test-world.ts';

type Manifest = Record<string, unknown>;

function deployment(
  namespace: string,
  name: string,
  labels: Record<string, string> = {},
): Manifest {
  const spec = { serviceAccountName: name, containers: [{ name: 'app' }] };
  const template = { metadata: { labels: { app: name, ...labels } }, spec };
  const metadata = { name, namespace };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { template } };
}

function service(
  name: string,
  spec: Manifest = { selector: { app: name }, ports: [{ port: 80 }] },
) {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
}

const meshed = ['shop', 'bank'].map((name) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, annotations: { 'tsmesh.dev/inject': 'enabled' } },
}));
const base: Manifest[] = [
  ...meshed,
  deployment('shop', 'web', { tier: 'front' }),
  deployment('bank', 'teller', { tier: 'back' }),
  deployment('shop', 'cart'),
  deployment('shop', 'next'),
  service('cart'),
  service('next'),
  service('named', { type: 'ExternalName', externalName: 'shop.example' }),
];

async function explain(policy: Omit<TrafficPolicySpec, 'service'>, ...args: string[]) {
  const made = {
    apiVersion: 'tsmesh.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'p', namespace: 'shop' },
    spec: { service: { name: 'cart' }, ...policy },
  };
  const text = [...base, made].map((one) => stringify(one)).join('---\n');
  const from = args.includes('--from') ? [] : ['--from', 'shop/web'];
  const all = ['explain', '-f', '-', ...from, '--to', 'shop/cart:80', ...args];
  const { out, err } = await run([...all, '-o', 'json'], { readStdin: async () => text });
  if (out === '') throw new Error(err);
  const words = await run(all, { readStdin: async () => text });
  return { answer: JSON.parse(out) as Answer, words: words.out };
}

const endpointsOf = ({ route }: Answer) => route!.backends.map(({ endpoints }) => endpoints);

describe('a call under a TrafficPolicy', () => {
  it('takes the routes that are for its caller', async () => {
    const routes = [
      { matches: [{ source: { namespaces: ['bank'] } }], backends: [{ service: 'next' }] },
      { matches: [{ source: { labels: { tier: 'front' } } }], timeout: '1s' },
    ];
    const teller = await explain({ routes }, '--from', 'bank/teller');
    expect(endpointsOf(teller.answer)).toEqual(['shop/next:80']);
    const web = await explain({ routes });
    expect(endpointsOf(web.answer)).toEqual(['shop/cart:80']);
    expect(web.answer.route!.name).toBe('TrafficPolicy shop/p, route 1');
    const outside = await explain({ routes }, '--from', 'shop/sa/nobody-yet');
    expect(outside.answer.route!.name).toBe('TrafficPolicy shop/p, default route');
  });

  it('fails for the share of what does not exist, with its name', async () => {
    const backends = [{ weight: 3 }, { service: 'gone' }];
    const { answer, words } = await explain({ routes: [{ backends }] });
    expect(answer.verdict).toBe('mixed');
    expect(answer.route!.backends.map(({ share, missing }) => [share, missing])).toEqual([
      [75, false],
      [25, true],
    ]);
    expect(answer.notes).toContain('25 % of the calls fail: there is no Service shop/gone');
    expect(words).toContain('Service shop/gone (25 % of the calls)');
  });

  it('is refused with 500 where all of it does not exist', async () => {
    const { answer } = await explain({ routes: [{ backends: [{ service: 'named' }] }] });
    expect(answer.verdict).toBe('denied');
    expect(answer.refusal).toMatchObject({ status: 500 });
    expect(answer.refusal!.message).toContain('Service shop/named (an ExternalName)');
    const tcp = await explain({ routes: [{ backends: [{ service: 'gone' }] }] }, '--tcp');
    expect(tcp.answer.verdict).toBe('denied');
  });

  it('can be answered by the sidecar of the caller', async () => {
    const routes = [{ matches: [{ path: { prefix: '/v0' } }], directResponse: { status: 410 } }];
    const { answer, words } = await explain({ routes }, '--path', '/v0/a');
    expect(answer).toMatchObject({ verdict: 'allowed', route: { answered: { status: 410 } } });
    expect(words).toContain("the caller's own sidecar answers it (410)");
  });

  it('is told of faults, copies and the rate limits that count it', async () => {
    const policy = {
      routes: [
        {
          mirrors: [{ service: 'next', percent: 5 }],
          fault: { abort: { status: 503, percent: 1 } },
        },
      ],
      rateLimits: [
        { name: 'all', requests: 10 },
        { name: 'writes', requests: 1, matches: [{ methods: ['POST'] }] },
        { name: 'open', connections: 5 },
      ],
    };
    const read = await explain(policy);
    const { answer, words } = read;
    expect(answer.route!.changes).toEqual([
      'answers 1 % with 503 (fault)',
      'copies 5 % to shop/next:80',
    ]);
    const limitsOf = (one: Answer) => one.route!.backends[0]!.places[0]!.rateLimits;
    const limit = (name: string) => `TrafficPolicy shop/p, rate limit ${name}`;
    expect(limitsOf(answer)).toEqual([limit('open'), limit('all')]);
    expect(words).toContain('counted by TrafficPolicy shop/p, rate limit all');
    const write = await explain(policy, '-X', 'POST');
    expect(limitsOf(write.answer)).toEqual([limit('open'), limit('all'), limit('writes')]);
    const tcp = await explain(policy, '--tcp');
    expect(limitsOf(tcp.answer)).toEqual([limit('open')]);
  });
});
