// Servers that close idle connections just when they are used again: every answer and every arrival is counted, behind a
// sidecar and without one. Real sockets; the numbers are outcomes, not times.
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { listenOn, startPair, type MeshPair } from '../../test/support/mesh-pair.ts';
import { endpoints, loopback } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface HastyApp {
  address: AddressInfo;
  /** How often each request arrived, by its path. */
  arrivals: Map<string, number>;
  connections: number;
}

/** Answers, and closes each connection that was idle for so long, without a word before. */
async function startHastyApp(idleMs: number): Promise<HastyApp> {
  const app: HastyApp = { address: null!, arrivals: new Map(), connections: 0 };
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    app.connections += 1;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => void sockets.delete(socket));
    let text = '';
    let idle: NodeJS.Timeout | undefined;
    socket.on('data', (bytes) => {
      clearTimeout(idle);
      text += bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0 || (text.startsWith('POST') && text.length < end + 4 + 4)) return;
      const path = text.split(' ', 2)[1]!;
      text = '';
      app.arrivals.set(path, (app.arrivals.get(path) ?? 0) + 1);
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      idle = setTimeout(() => socket.destroy(), idleMs);
    });
  });
  app.address = await listenOn(server);
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return app;
}

type Place = 'the own app' | 'a server without a sidecar';

async function startPath(app: HastyApp, place: Place): Promise<MeshPair> {
  const pair = await startPair(app.address);
  closers.push(() => pair.close());
  if (place !== 'the own app') pair.route({}, endpoints(app.address, null));
  return pair;
}

interface Round {
  pair: MeshPair;
  method: 'GET' | 'POST';
  idleMs: number;
  count: number;
  /** Names its requests. */
  name: string;
}

/** Clients that wait between their requests for about as long as the server does; returns how often each status came. */
async function run({ pair, method, idleMs, count, name }: Round): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients });
  let next = 0;
  const client = async () => {
    while (next < count) {
      const path = `/${name}/${next}`;
      next += 1;
      const status = await ask(pair.caller.outbound.address.port, { method, path, agent });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const pauseMs = idleMs * (0.7 + 0.6 * Math.random());
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return statuses;
}

const clients = 20;

function ask(port: number, options: http.RequestOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: loopback, port, ...options }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', reject);
    request.end(options.method === 'POST' ? 'body' : undefined);
  });
}

const arrivedTwice = ({ arrivals }: HastyApp, name: string) =>
  [...arrivals].filter(([path, count]) => path.startsWith(`/${name}/`) && count > 1);

/** Idle times in milliseconds, with how many requests of a kind; all three at once, as most of it is waiting. */
const cases = [
  { idleMs: 1, count: 2_000 },
  { idleMs: 100, count: 1_000 },
  { idleMs: 1_000, count: 120 },
] as const;

async function check(place: Place, { idleMs, count }: (typeof cases)[number]): Promise<void> {
  const app = await startHastyApp(idleMs);
  const pair = await startPath(app, place);
  const round = { pair, idleMs, count };
  // Before anything is known.
  const early = await run({ ...round, method: 'POST', name: 'early', count: count / 10 });
  expect([...early.keys()].filter((status) => status !== 200 && status !== 502)).toEqual([]);
  const gets = await run({ ...round, method: 'GET', name: 'get' });
  expect(gets).toEqual(new Map([[200, count]]));
  const posts = await run({ ...round, method: 'POST', name: 'post' });
  expect(posts).toEqual(new Map([[200, count]]));
  expect(arrivedTwice(app, 'early')).toEqual([]);
  expect(arrivedTwice(app, 'post')).toEqual([]);
}

describe('an app that closes idle connections after 1 ms, 100 ms and 1 s', () => {
  it.each<Place>(['the own app', 'a server without a sidecar'])(
    'as %s: every GET is answered, no POST is sent twice or fails for long',
    async (place) => {
      await Promise.all(cases.map((one) => check(place, one)));
    },
    120_000,
  );
});
