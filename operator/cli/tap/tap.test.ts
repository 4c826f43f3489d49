// What `tsmesh tap` asks sidecars, and how it tells what they answer; the way there is in test/cluster/command-line.test.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TapLine } from '../../../proxy/api/tap.ts';
import { styleOf } from '../style.ts';
import { run } from '../test-world.ts';
import { tapText } from './lines.ts';
import { tapQuery } from './question.ts';

const folder = mkdtempSync(join(tmpdir(), 'tsmesh-tap-'));
/** Of a server that nobody is to ask. */
const config = join(folder, 'config');

const line: TapLine = {
  time: '2026-09-01T12:03:04.123Z',
  direction: 'outbound',
  destination: 'cart.shop:80',
  endpoint: '10.0.0.7:8080',
  route: 'default',
  method: 'GET',
  authority: 'cart',
  path: '/items',
  status: 200,
  grpcStatus: -1,
  peer: '',
  peerAddress: '',
  mtls: true,
  durationMs: 1.234,
  attempts: 1,
  sentBytes: 0,
  receivedBytes: 12_300,
  flag: '',
  detail: '',
};

function textOf(of: Partial<TapLine>): string {
  return tapText('web-1', { ...line, ...of }, styleOf(false), 6).replaceAll(/ {2,}/g, '  ');
}

describe('what sidecars are asked', () => {
  beforeAll(() => {
    const cluster = { name: 'c', cluster: { server: 'https://127.0.0.1:1' } };
    const context = { name: 'c', context: { cluster: 'c', user: 'u' } };
    const users = [{ name: 'u', user: {} }];
    const all = { clusters: [cluster], contexts: [context], users, 'current-context': 'c' };
    writeFileSync(config, JSON.stringify(all));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is what the options say, with Services as sidecars name them', () => {
    const options = { method: 'POST', path: '/a', status: '5xx', 'min-duration': '2s', for: '5m' };
    const named = { from: 'shop/web', to: 'cart:80', flag: 'any', direction: 'outbound' };
    expect(
      Object.fromEntries(new URLSearchParams(tapQuery({ ...options, ...named }, 'shop'))),
    ).toEqual({
      method: 'POST',
      path: '/a',
      status: '5xx',
      'min-duration': '2000',
      seconds: '300',
      from: 'shop/web',
      to: 'cart.shop:80',
      flag: '*',
      direction: 'outbound',
    });
    expect(tapQuery({ to: 'namespace/pay' }, 'shop')).toBe('to=*.pay');
    expect(tapQuery({ to: 'pay/api' }, 'shop')).toBe('to=api.pay');
    expect(tapQuery({}, 'shop')).toBe('');
  });

  it.each([
    [['--path', 'items'], 'path: items must begin with /'],
    [['--status', 'ok'], 'status: ok is not like 404, 5xx or 400-499'],
    [['--min-duration', '2'], 'min-duration: 2 is no time like 250ms, 2s or 5m'],
    [['--for', '2h'], 'for: 2h is not from 1s to 1h'],
    [['--from', 'a/b/c'], 'from: a/b/c is no NAMESPACE or NAMESPACE/SERVICE-ACCOUNT'],
    [['--to', 'a/b/c'], 'to: a/b/c is no Service of the form [NAMESPACE/]NAME[:PORT]'],
    [['--direction', 'up'], 'direction: up is neither inbound nor outbound'],
    [['--rate', '501'], 'rate: 501 is no number from 1 to 500'],
    [['--max', '0'], 'max: 0 is no number of lines'],
    [['Cart_1'], 'tap: Cart_1 is no name of the form'],
  ])('%j is refused before anybody is asked', async (args, error) => {
    const { code, err, out } = await run(['tap', ...args, '--kubeconfig', config]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(error);
  });

  it('needs a kubeconfig that is there', async () => {
    const { code, err } = await run(['tap', '--kubeconfig', '/nowhere']);
    expect(code).toBe(4);
    expect(err).toContain('the kubeconfig cannot be read');
  });
});

describe('a line of tap', () => {
  it.each<[string, Partial<TapLine>, string]>([
    ['what went out', {}, '12:03:04.123  web-1  → cart.shop:80  GET /items  200  1.2ms'],
    [
      'what came in, and who proved what',
      { direction: 'inbound', destination: '8080', peer: 'spiffe://c/ns/shop/sa/web' },
      '12:03:04.123  web-1  ← shop/web  GET /items  200  1.2ms',
    ],
    [
      'a caller without an identity',
      { direction: 'inbound', peerAddress: '10.0.0.9', mtls: false },
      '12:03:04.123  web-1  ← 10.0.0.9  GET /items  200  1.2ms  plaintext',
    ],
    [
      'why the sidecar refused it',
      { status: 403, flag: 'RB', detail: 'AuthorizationPolicy shop/cart', durationMs: 12.5 },
      '12:03:04.123  web-1  → cart.shop:80  GET /items  403  13ms  RB: AuthorizationPolicy shop/cart',
    ],
    [
      'gRPC and what was tried',
      { grpcStatus: 14, attempts: 3, durationMs: 12_345 },
      '12:03:04.123  web-1  → cart.shop:80  GET /items  gRPC 14  12.3s  3 attempts',
    ],
    [
      'a connection that is no HTTP',
      { method: '', path: '', status: 0 },
      '12:03:04.123  web-1  → cart.shop:80  TCP 0 B there, 12.3 kB back  -  1.2ms',
    ],
    [
      'nothing that steers a terminal',
      { path: '/\u001b]0;x\u0007\u009b31m\u202e' },
      '12:03:04.123  web-1  → cart.shop:80  GET /?]0;x??31m?  200  1.2ms',
    ],
  ])('tells %s', (_what, of, text) => {
    expect(textOf(of)).toBe(text);
  });
});
