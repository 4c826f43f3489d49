import { describe, expect, it } from '@jest/globals';
import { run } from '../test-world.ts';
import { configText, connectionsText, endpointsText } from './views.ts';

describe('what a sidecar has in force', () => {
  it('names endpoints with health, and what is not known with a dash', () => {
    const endpoint = { at: '10.0.0.7:80', podName: 'cart-1', zone: '', meshed: true };
    const load = { inFlight: 2, answerMs: 1.25, failedShare: 0.5, ejected: true };
    const unknown = { ...endpoint, at: '10.0.0.8:80', meshed: false };
    const idle = { inFlight: 0, answerMs: null, failedShare: 0, ejected: false };
    const sets = [
      {
        name: 'shop/cart:80',
        endpoints: [
          { ...endpoint, ...load },
          { ...unknown, ...idle },
        ],
      },
    ];
    const rows = endpointsText({ sets }).map((line) => line.split(/ {2,}/));
    expect(rows.slice(1)).toEqual([
      ['shop/cart:80', '10.0.0.7:80', 'cart-1', '-', 'mTLS', 'EJECTED', '2', '1.25 ms', '50%'],
      ['shop/cart:80', '10.0.0.8:80', 'cart-1', '-', 'plaintext', 'in', '0', '-', '0%'],
    ]);
  });

  it('lists connections with their other ends, and counts those that it leaves out', () => {
    const accepted = { thread: 0, from: '10.0.0.9:4000', to: '10.0.0.7:8080', carries: 'HTTP/2' };
    const peer = 'spiffe://cluster.local/ns/shop/sa/web';
    const view = {
      inbound: { count: 3, listed: [{ ...accepted, peer, requests: 2, ageMs: 4200 }] },
      outbound: { count: 0, listed: [] },
      pool: { count: 1, listed: [{ thread: 0, to: '10.0.0.8:80', peer, opened: 7, usable: true }] },
    };
    const lines = connectionsText(view);
    expect(lines.slice(1, 3).map((line) => line.split(/ {2,}/))).toEqual([
      ['inbound', '10.0.0.9:4000', '10.0.0.7:8080', 'HTTP/2', peer, '2', '4 s'],
      ['kept', '-', '10.0.0.8:80', 'HTTP', peer, '7 so far', '-'],
    ]);
    expect(lines.at(-1)).toBe('and 2 more');
  });

  it('names what each piece of configuration was shaped by, in which generation', () => {
    const policies = [
      { kind: 'Mesh', namespace: '', name: 'default', generation: 3 },
      { kind: 'TrafficPolicy', namespace: 'shop', name: 'cart', generation: 7 },
    ];
    const resource = { type: 'Destination', name: '10.96.0.7:80', policies };
    const rows = configText({ resources: [{ version: 'v1', resource }] });
    expect(rows[1]).toMatch(
      /Destination +10\.96\.0\.7:80 +v1 +Mesh default@3, TrafficPolicy shop\/cart@7$/,
    );
  });

  it.each([
    [['proxy'], /which pod/],
    [['proxy', 'cart-1'], /no topic/],
    [['proxy', 'cart-1', 'keys'], /no topic keys; there are: status, endpoints/],
    [['proxy', 'cart-1', 'config', 'debug'], /what is debug/],
  ])('does not ask where the question is wrong: %j', async (args, words) => {
    const { code, err } = await run(args);
    expect([code, err]).toEqual([2, expect.stringMatching(words)]);
  });
});
