// CORS through two sidecars: who answers preflights, and what browsers hear of every kind of answer. Real sockets.
import http from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  call,
  listenOn,
  startPair,
  type Answer,
  type MeshPair,
} from '../../test/support/mesh-pair.ts';
import { route } from '../../test/support/sidecar.ts';
import type { Cors, HttpRoute } from '../api/resources.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const cors: Cors = {
  allowOrigins: ['https://*.example'],
  allowMethods: ['GET', 'PUT'],
  allowHeaders: ['x-token'],
  exposeHeaders: ['x-total'],
  allowCredentials: true,
  maxAgeSeconds: 60,
};
const friend = 'https://shop.example';
const stranger = 'https://evil.test';

interface Page {
  pair: MeshPair;
  /** Methods that reached the app. */
  received: string[];
  ask: (origin: string | null, over?: { method?: string; path?: string }) => Promise<Answer>;
  preflight: (origin: string, method?: string, path?: string) => Promise<Answer>;
}

async function pageOf(...routes: HttpRoute[]): Promise<Page> {
  const received: string[] = [];
  const app = http.createServer((request, response) => {
    received.push(request.method!);
    response.setHeader('access-control-allow-origin', 'https://of-the-app.example');
    response.setHeader('access-control-allow-private-network', 'true');
    response.setHeader('x-total', '7');
    response.end('app');
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    app.closeAllConnections();
  });
  pair.route({ routes });
  const { port } = pair.caller.outbound.address;
  return {
    pair,
    received,
    ask: (origin, over = {}) => call({ port, ...over, headers: origin === null ? {} : { origin } }),
    preflight: (origin, method = 'PUT', path = '/') =>
      call({
        port,
        path,
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': method },
      }),
  };
}

describe('with CORS in a route', () => {
  it('preflights are answered by the sidecar, allowed or not', async () => {
    const { pair, preflight, received } = await pageOf(route({ cors }));
    const good = await preflight(friend);
    expect(good.status).toBe(204);
    expect(good.headers).toMatchObject({
      'access-control-allow-origin': friend,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'x-token',
      'access-control-max-age': '60',
    });
    const bad = await preflight(stranger);
    expect(bad.status).toBe(204);
    expect(Object.keys(bad.headers).filter((name) => name.startsWith('access-'))).toEqual([]);
    expect(bad.headers.vary).toContain('origin');
    expect(received).toEqual([]);
    expect(pair.caller.counters.totals('outbound')).toMatchObject({ requests: 2, failures: 0 });
  });

  it('an OPTIONS that is no preflight goes to the app', async () => {
    const { ask, received } = await pageOf(route({ cors }));
    expect((await ask(friend, { method: 'OPTIONS' })).status).toBe(200);
    expect(received).toEqual(['OPTIONS']);
  });

  it.each([
    [friend, friend, 'true'],
    [stranger, undefined, undefined],
    [null, undefined, undefined],
  ])('what the app answers to %s allows %s', async (origin, allowed, credentials) => {
    const { ask } = await pageOf(route({ cors }));
    const { headers, body } = await ask(origin);
    expect(body.toString()).toBe('app');
    expect(headers['access-control-allow-origin']).toBe(allowed);
    expect(headers['access-control-allow-credentials']).toBe(credentials);
    expect(headers['access-control-allow-private-network']).toBeUndefined();
    expect(headers.vary).toBe('origin');
    expect(headers['x-total']).toBe('7');
  });

  it('a preflight is answered for the route of the request that is to follow', async () => {
    const open = { ...cors, allowOrigins: ['*'] };
    const { preflight, received } = await pageOf(
      route({ name: 'put', matches: [{ path: { prefix: '/a' }, methods: ['PUT'] }], cors: open }),
      route({ name: 'get', matches: [{ path: { prefix: '/a' }, methods: ['GET'] }], cors }),
      route({ name: 'none' }),
    );
    const allowed = async (method: string, path: string) =>
      (await preflight(stranger, method, path)).headers['access-control-allow-origin'];
    expect(await allowed('PUT', '/a')).toBe(stranger);
    expect(await allowed('GET', '/a')).toBeUndefined();
    expect(received).toEqual([]);
    // No CORS there: the app answers.
    expect(await allowed('GET', '/b')).toBe('https://of-the-app.example');
    expect(received).toEqual(['OPTIONS']);
  });

  it('answers of the sidecar can be read too, and preflights come before faults', async () => {
    const abort = { status: 429, grpcCode: null, percent: 100 };
    const redirect = {
      scheme: null,
      host: 'b.example',
      port: null,
      path: null,
      status: 302,
    } as const;
    const directResponse = { status: 200, body: 'words', contentType: 'text/plain' };
    const at = (prefix: string, over: Partial<HttpRoute>) =>
      route({ cors, matches: [{ path: { prefix } }], ...over });
    const { ask, preflight } = await pageOf(
      at('/abort', { fault: { abort } }),
      at('/redirect', { backends: [], redirect }),
      at('/direct', { backends: [], directResponse }),
      at('/missing', { backends: [{ endpoints: 'x', weight: 1, missing: 'Service shop/x' }] }),
      at('/empty', { backends: [{ endpoints: 'nobody', weight: 1 }] }),
    );
    const expected = { abort: 429, redirect: 302, direct: 200, missing: 500, empty: 503 };
    for (const [path, status] of Object.entries(expected)) {
      const answer = await ask(friend, { path: `/${path}` });
      expect([path, answer.status]).toEqual([path, status]);
      expect([path, answer.headers['access-control-allow-origin']]).toEqual([path, friend]);
      expect([path, (await preflight(friend, 'GET', `/${path}`)).status]).toEqual([path, 204]);
    }
  });

  it('nothing is said where the route says nothing', async () => {
    const { ask } = await pageOf(route());
    const { headers } = await ask(stranger);
    expect(headers['access-control-allow-origin']).toBe('https://of-the-app.example');
    expect(headers.vary).toBeUndefined();
  });
});
