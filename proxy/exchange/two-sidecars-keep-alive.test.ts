// Servers that close idle connections just when they are used again: every answer and every arrival is counted, behind a
// sidecar and without one. Real sockets; the numbers are outcomes, not times.
import http from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { arrivedTwice, ask, askAtTheEdge, startHastyApp } from '../../test/apps/hasty.ts';
import type { HastyApp } from '../../test/apps/hasty.ts';
import { listenOn, startPair, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, loopback, workload } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Place =
  'the own app' | 'a server without a sidecar' | 'the own app, of a client outside the mesh';

async function startPath(app: HastyApp, place: Place): Promise<MeshPair> {
  const pair = await startPair(app.address);
  closers.push(() => pair.close());
  if (place === 'a server without a sidecar') pair.route({}, endpoints(app.address, null));
  if (place === 'the own app, of a client outside the mesh')
    pair.callee.apply(workload({ mtls: 'PERMISSIVE' }));
  return pair;
}

/** Where clients connect to. */
function originOf({ caller, callee }: MeshPair, place: Place): string {
  const isOutside = place === 'the own app, of a client outside the mesh';
  return `http://${loopback}:${(isOutside ? callee.inbound : caller.outbound).address.port}`;
}

/** Idle times in milliseconds, with how many requests of a kind; all three at once, as most of it is waiting. */
const cases = [
  { idleMs: 1, count: 600, clients: 20 },
  { idleMs: 100, count: 400, clients: 40 },
  { idleMs: 300, count: 120, clients: 40 },
] as const;

/** Of POSTs, until none fails. */
const mostRounds = 3;

async function check(
  place: Place,
  { idleMs, count, clients }: (typeof cases)[number],
): Promise<void> {
  const app = await startHastyApp(idleMs, { host: loopback, port: 0 });
  closers.push(() => app.close());
  const pair = await startPath(app, place);
  const round = { origin: originOf(pair, place), idleMs, count, clients };
  // Before anything is known.
  const early = await askAtTheEdge({ ...round, method: 'POST', name: 'early', count: count / 10 });
  expect(Object.keys(early).filter((status) => status !== '200' && status !== '502')).toEqual([]);
  const gets = await askAtTheEdge({ ...round, method: 'GET', name: 'get' });
  expect({ place, gets }).toEqual({ place, gets: { 200: count } });
  // An app that its machine held up closes late, and what was learned of it was too long: a failure teaches again.
  let posts: Record<string, number> = {};
  for (let left = mostRounds; left > 0 && posts['200'] !== count; left -= 1) {
    const name = `post-${left}`;
    posts = await askAtTheEdge({ ...round, method: 'POST', name });
    expect((posts['200'] ?? 0) + (posts['502'] ?? 0)).toBe(count);
    expect(arrivedTwice(app, name)).toEqual([]);
  }
  expect({ place, posts }).toEqual({ place, posts: { 200: count } });
  expect(arrivedTwice(app, 'early')).toEqual([]);
}

describe('an app that closes idle connections after 1, 100 and 300 ms', () => {
  it.each<[string, Place[]]>([
    ['own app', ['the own app', 'the own app, of a client outside the mesh']],
    ['server without a sidecar', ['a server without a sidecar']],
  ])(
    'as %s: every GET is answered, no POST is sent twice or fails for long',
    async (_, places) => {
      await Promise.all(places.flatMap((place) => cases.map((one) => check(place, one))));
    },
    120_000,
  );
});

describe('an app that says how long it keeps connections', () => {
  /** Two requests with so much time between them; returns over how many connections they came to the app. */
  async function connectionsOf(keepAlive: string | null, pauseMs: number): Promise<number> {
    const sockets = new Set<Socket>();
    const app = http.createServer((_, response) => {
      if (keepAlive !== null) response.setHeader('keep-alive', keepAlive);
      response.end('ok');
    });
    app.keepAliveTimeout = 0;
    app.on('connection', (socket: Socket) => sockets.add(socket));
    const pair = await startPair(await listenOn(app));
    closers.push(() => {
      pair.close();
      app.close();
      app.closeAllConnections();
    });
    const origin = originOf(pair, 'the own app');
    expect((await ask(origin, { method: 'GET' })).status).toBe(200);
    pair.callee.advance(pauseMs);
    expect((await ask(origin, { method: 'POST' })).status).toBe(200);
    return sockets.size;
  }

  // Of what is said the first half is used; what nothing is known of is used for as long as it is kept, 3 s.
  it.each([
    [null, 1_000, 1],
    ['timeout=10', 1_000, 1],
    ['timeout=2, max=100', 1_500, 2],
    ['max=100', 1_000, 1],
  ])('is believed: %j, after %i ms there are %i connections', async (said, pauseMs, count) => {
    expect(await connectionsOf(said, pauseMs)).toBe(count);
  });
});
