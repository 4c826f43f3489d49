// `tsmesh explain` from files: verdicts, words (golden files), bad input. UPDATE_GOLDEN=1 rewrites the golden
// files.

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer } from './explain/answer.ts';
import { run } from './test-world.ts';

const shop = join(import.meta.dirname, 'test-manifests/shop');

function explain(...args: string[]) {
  return run(['explain', ...args, '-f', shop]);
}

async function answer(...args: string[]): Promise<Answer> {
  return JSON.parse((await explain(...args, '-o', 'json')).out) as Answer;
}

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'tsmesh-cli-'))));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file of its own, below a folder that ends with the tests. */
function fileOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('the answer in words', () => {
  const cases: Record<string, [code: number, ...args: string[]]> = {
    'allowed-by-rule': [0, '--from', 'shop/web', '--to', 'shop/cart:80', '--path', '/items/7'],
    'denied-no-rule': [3, '--from', 'shop/web', '--to', 'shop/cart:80', '-X', 'POST'],
    'denied-by-one-workload': [
      3,
      '--from',
      'shop/web',
      '--to',
      'shop/cart:80',
      '--path',
      '/items/export?all',
    ],
    'split-and-rewritten': [0, '--from', 'shop/web', '--to', 'shop/cart:http', '--path', '/beta/1'],
    redirect: [0, '--from', 'shop/web', '--to', 'shop/cart:80', '--path', '/old'],
    'outside-under-strict': [3, '--from', 'outside', '--to', 'shop/cart:80'],
    'plaintext-port': [3, '--from', 'shop/web', '--to', 'shop/cart:admin'],
    'tcp-headless': [0, '--from', 'shop/sa/cart', '--to', 'shop/db', '--tcp'],
    'dry-run': [
      0,
      '--from',
      'shop/web',
      '--to',
      'shop/cart:80',
      '--path',
      '/items',
      '-H',
      'X-Debug: 1',
    ],
    'ambiguous-path': [
      3,
      '--from',
      'shop/web',
      '--to',
      'shop/cart:80',
      '--path',
      '/items/%2e%2e/admin',
    ],
    'no-sidecar-at-target': [0, '--from', 'shop/web', '--to', 'legacy/report:80'],
  };

  it.each(Object.entries(cases))('%s', async (name, [expected, ...args]) => {
    const { code, out, err } = await explain(...args);
    const text = `$ tsmesh explain ${args.join(' ')}\n${out}\n`;
    const file = join(import.meta.dirname, 'golden', `${name}.txt`);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
    expect(err).toBe('');
    expect(code).toBe(expected);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });
});

describe('an answer about many rules', () => {
  it('shows what matches and some of the others', async () => {
    const rules = Array.from({ length: 40 }, (_, i) => ({
      name: `r${i}`,
      from: [{ namespaces: [i === 30 ? 'shop' : `n${i}`] }],
    }));
    const metadata = { name: 'many', namespace: 'shop' };
    const apiVersion = 'tsmesh.dev/v1alpha1';
    const policy = { apiVersion, kind: 'AuthorizationPolicy', metadata, spec: { rules } };
    const file = fileOf('many.yaml', JSON.stringify(policy));
    const args = ['--from', 'shop/web', '--to', 'shop/web:80', '-f', file];
    const { out } = await explain(...args);
    expect(out).toContain('allowed by AuthorizationPolicy shop/many, r30');
    expect(out).toContain('r30: matches');
    expect(out).toContain('27 more rules: no');
    expect(out.match(/r\d+: no: /g)).toHaveLength(12);
    const { route } = await answer(...args);
    const [place] = route!.backends[0]!.places;
    const { policies } = place!.authorization!;
    expect(policies.find((one) => one.policy.endsWith('/many'))!.rules).toHaveLength(40);
  });
});

describe('who calls', () => {
  it.each([
    ['shop/web', 'spiffe://cluster.local/ns/shop/sa/web'],
    ['shop/deployment/web', 'spiffe://cluster.local/ns/shop/sa/web'],
    ['shop/sa/nobody-yet', 'spiffe://cluster.local/ns/shop/sa/nobody-yet'],
    ['legacy/report', null],
    ['outside', null],
  ])('%s proves %s', async (from, identity) => {
    expect((await answer('--from', from, '--to', 'shop/db')).from.identity).toBe(identity);
  });

  it('can be an identity alone, or a pod with another identity or address', async () => {
    const id = 'spiffe://cluster.local/ns/ops/sa/joe';
    const alone = await answer('--identity', id, '--to', 'shop/cart:80');
    expect(alone).toMatchObject({ verdict: 'allowed', from: { identity: id } });
    const posing = ['--from', 'shop/web', '--identity', id, '--ip', '::ffff:10.0.0.9'];
    const posed = await answer(...posing, '--to', 'shop/cart:80');
    expect(posed).toMatchObject({
      verdict: 'allowed',
      from: { identity: id, address: '10.0.0.9' },
    });
  });

  it('is named by what there is, when the name means nothing', async () => {
    const { code, err } = await explain('--from', 'shop/wbe', '--to', 'shop/cart:80');
    expect(code).toBe(2);
    expect(err).toContain('there is no pod or workload shop/wbe');
    expect(err).toContain('Deployment shop/web');
    const service = await explain('--from', 'shop/service/cart', '--to', 'shop/cart:80');
    expect(service.err).toContain('a Service does not call');
  });
});

describe('what is called', () => {
  it.each([
    ['shop/cart', 'say which port', '80 (http), 9000 (admin)'],
    ['shop/cart:81', 'has no port 81', '80 (http), 9000 (admin)'],
    ['shop/deployment/cart', 'say which port', '8080 (http), 9000 (admin)'],
    ['shop/deployment/cart:x', 'has no port x', '8080 (http)'],
    ['shop/nothing:80', 'there is no Service, pod or workload shop/nothing', 'Service shop/cart'],
    ['nowhere/cart:80', 'there is no Service', 'nothing in namespace nowhere'],
    ['shop/sa/cart:80', 'a service account is not called', ''],
  ])('%s is refused in words', async (to, words, hint) => {
    const { code, err } = await explain('--from', 'shop/web', '--to', to);
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(err).toContain(hint);
  });

  it('is a Service by its name before a workload of the same name', async () => {
    const found = await answer('--from', 'shop/web', '--to', 'shop/cart:80', '--path', '/items');
    expect(found.to.label).toBe('Service shop/cart:80');
    const [backend] = found.route!.backends;
    expect(backend!.places.map((place) => [place.workload, place.port])).toEqual([
      ['Deployment shop/cart', 8080],
      ['Deployment shop/cart-canary', 8081],
    ]);
  });

  it('can be a port that no sidecar guards', async () => {
    const probes = await answer('--from', 'outside', '--to', 'shop/deployment/cart:15020');
    expect(probes.verdict).toBe('allowed');
    expect(probes.route!.backends[0]!.places[0]!.unguarded).toContain('15020');
    const capture = await answer('--from', 'outside', '--to', 'shop/deployment/cart:15006');
    expect(capture.verdict).toBe('denied');
  });
});

describe('manifests', () => {
  const other = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other }\n';
  const policy = `apiVersion: tsmesh.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: broken, namespace: shop }
`;

  it.each([
    ['an unknown value', `${policy}spec: { action: BLOCK }`, 'spec.action: must be one of: ALLOW'],
    ['an unknown field', `${policy}spec: { rule: [] }`, 'spec.rule: there is no such field'],
    ['a wrong type', `${policy}spec: { rules: {} }`, 'spec.rules: must be an array'],
    ['a missing field', policy, 'spec: is missing'],
    [
      'what breaks a rule of the CRD in CEL',
      `${policy}spec: { rules: [{ from: [{ ipBlocks: [10.0.0.0/33] }] }] }`,
      'spec.rules[0].from[0].ipBlocks[0]: must be an IP address or a CIDR block',
    ],
    [
      'what only the operator checks',
      `${policy}spec: { rules: [{ from: [{ identities: [cluster.local/ns/shop/cart] }] }] }`,
      'spec.rules[0].from[0].identities[0]: "cluster.local/ns/shop/cart" must be an identity',
    ],
    ['another version', policy.replace('v1alpha1', 'v1'), 'must be tsmesh.dev/v1alpha1, not'],
    ['no kind', 'apiVersion: v1\nmetadata: { name: a }', 'kind: is missing'],
    ['no name', 'apiVersion: v1\nkind: Service\nspec: {}', 'metadata: is missing'],
    ['no YAML', 'a: [', 'is no YAML'],
    ['no object', '- 1', 'is no object of Kubernetes'],
    [
      'a misspelt field of a Service port',
      'apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [{ port: 80, targtPort: 1 }] }',
      'spec.ports[0].targtPort: there is no such field',
    ],
  ])('with %s are refused with file, document and field', async (_, text, words) => {
    const path = fileOf('bad.yaml', `${other}---\n${text}\n`);
    const { code, out, err } = await explain(
      '--from',
      'shop/web',
      '--to',
      'shop/cart:80',
      '-f',
      path,
    );
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(`${path}:2: `);
    expect(err).toContain(words);
  });

  it('come from standard input too, as lists, and with what is not for the mesh between', async () => {
    const list = {
      apiVersion: 'v1',
      kind: 'List',
      items: [
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } },
        { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name: 'x' } },
        {
          apiVersion: 'tsmesh.dev/v1alpha1',
          kind: 'AuthorizationPolicy',
          metadata: { name: 'nobody', namespace: 'shop' },
          spec: { action: 'DENY', rules: [{}] },
        },
      ],
    };
    const args = ['--from', 'shop/web', '--to', 'shop/cart:80', '--path', '/items', '-f', '-'];
    const ran = await run(['explain', ...args, '-f', shop], {
      readStdin: async () => JSON.stringify(list),
    });
    expect(ran.err).toContain('stdin:1: AuthorizationPolicy nobody: a DENY rule without');
    expect(ran.code).toBe(3);
    expect(ran.out).toContain('AuthorizationPolicy shop/nobody, rule 0');
  });

  it('of a namespace that is not among them are taken as meshed, which is said', async () => {
    const workload = readFileSync(join(shop, 'workloads.yaml'), 'utf8').split('---\n')[2]!;
    const path = fileOf('web.yaml', workload);
    const { out } = await run(['explain', '--from', 'shop/web', '--to', 'shop/web:80', '-f', path]);
    expect(out).toContain('Namespace shop is not in the files: its pods are taken as meshed');
  });

  it('that are not there are said to be so', async () => {
    const missing = join(folder, 'missing');
    mkdirSync(join(folder, 'empty'), { recursive: true });
    const ask = (path: string) => run(['explain', '--from', 'a', '--to', 'b', '-f', path]);
    expect((await ask(missing)).err).toContain(`${missing}: there is no such file or folder`);
    expect((await ask(join(folder, 'empty'))).err).toContain('no file in it ends in .yaml');
    expect((await ask(missing)).code).toBe(2);
  });
});

describe('expectations', () => {
  const calls = `calls:
  - { from: shop/web, to: 'shop/cart:80', path: /items, allowed: true, by: 'AuthorizationPolicy shop/cart' }
  - { from: shop/web, to: 'shop/cart:80', method: DELETE, path: /items, allowed: false }
  - { name: strict, from: outside, to: 'shop/db:5432', tcp: true, allowed: false, by: 'PeerAuthentication shop/strict' }
`;

  it('that are met give 0', async () => {
    const { code, out } = await explain('--expect', fileOf('good.yaml', calls));
    expect(out).toContain('3 of 3 expectations met');
    expect(code).toBe(0);
  });

  it('that are not met give 1, with what was expected', async () => {
    const wrong = `${calls}  - { from: shop/web, to: 'shop/cart:80', path: /items/export, allowed: true }
  - { from: shop/web, to: 'shop/cart:80', path: /items, allowed: true, by: AuthorizationPolicy shop/other }
`;
    const { code, out } = await explain('--expect', fileOf('wrong.yaml', wrong));
    expect(out).toContain('allowed by some pods, denied by others');
    expect(out).toContain('expected: allowed by AuthorizationPolicy shop/other');
    expect(out).toContain('3 of 5 expectations met');
    expect(code).toBe(1);
    const json = await explain('--expect', fileOf('wrong.yaml', wrong), '-o', 'json');
    const { outcomes } = JSON.parse(json.out) as { outcomes: { met: boolean }[] };
    expect(outcomes.map((one) => one.met)).toEqual([true, true, true, false, false]);
  });

  it.each([
    ['calls: []', 'calls: must NOT have fewer than 1 items'],
    ['calls: [{ to: a, alowed: true }]', 'calls[0]: there is no field alowed'],
    ['calls: [{ from: a, to: b, allowed: maybe }]', 'calls[0].allowed: must be boolean'],
    ['calls: [{ to: b, allowed: true }]', 'calls[0]: from: is missing'],
    ['a: [', 'is no YAML'],
  ])('written as %s are refused with their place', async (text, words) => {
    const { code, err } = await explain('--expect', fileOf('bad-expect.yaml', text));
    expect(code).toBe(2);
    expect(err).toContain('bad-expect.yaml');
    expect(err).toContain(words);
  });

  it('about what is not there say which call it is', async () => {
    const text = `${calls}  - { from: shop/wbe, to: 'shop/cart:80', allowed: true }\n`;
    const { code, err } = await explain('--expect', fileOf('absent.yaml', text));
    expect(code).toBe(2);
    expect(err).toContain('absent.yaml: calls[3]: from: there is no pod or workload shop/wbe');
  });

  it('stand alone: no call on the command line beside them', async () => {
    const both = ['--expect', fileOf('good.yaml', calls), '--from', 'shop/web'];
    expect((await explain(...both)).err).toContain('--from: the calls stand in the file');
  });
});
