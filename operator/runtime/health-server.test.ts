// The operator's plain port with real HTTP on loopback: what it answers, and to whom when it is full.

import { afterEach, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { createHealthServer, type HealthServer } from './health-server.ts';

let server: HealthServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function start(missing: string[] = []): Promise<string> {
  server = createHealthServer({
    missing: () => missing,
    metrics: () => 'up 1\n',
    nowMs: () => performance.now(),
  });
  return `http://127.0.0.1:${await server.listen(0)}`;
}

describe("the operator's health port", () => {
  it('tells whether it lives, is ready, and its metrics; and nothing else', async () => {
    const url = await start(['caches']);
    const answers = ['/healthz', '/readyz', '/metrics', '/debug', '/healthz/..%2f'].map(
      async (path) => {
        const response = await fetch(`${url}${path}`);
        return [response.status, await response.text()];
      },
    );
    expect(await Promise.all(answers)).toEqual([
      [200, 'ok\n'],
      [503, 'waiting for: caches\n'],
      [200, 'up 1\n'],
      [404, 'try /healthz, /readyz or /metrics\n'],
      [404, 'try /healthz, /readyz or /metrics\n'],
    ]);
  });

  it('answers the kubelet while one pod holds all the connections there are', async () => {
    const url = await start();
    const port = Number(new URL(url).port);
    const hog = Array.from({ length: 100 }, () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.66' });
      socket.on('error', () => undefined);
      return socket;
    });
    const ended = hog.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    await Promise.race(ended);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    for (const socket of hog) socket.destroy();
    await Promise.all(ended);
  });
});
