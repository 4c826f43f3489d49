// `GET /tap` over a real socket: what readers are shown, and what becomes of one that does not read.

import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/mesh-pair.ts';
import { createTestClock, type TestClock } from '../net/test-clock.ts';
import { createTap, type Tap } from '../telemetry/tap.ts';
import { entryWith } from '../telemetry/test-entry.ts';
import { createTaps } from './tap.ts';

let server: Server | null = null;

async function start(): Promise<{ clock: TestClock; tap: Tap; ask: typeof open }> {
  const clock = createTestClock();
  const tap = createTap(clock);
  const taps = createTaps(tap, clock);
  server = createServer((request, response) => {
    const { searchParams } = new URL(request.url!, 'http://admin');
    const refused = taps(searchParams, response);
    if (refused !== null) response.writeHead(refused.status).end(refused.error);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { clock, tap, ask: open };
}

async function open(query: string): Promise<IncomingMessage> {
  const { port } = server!.address() as AddressInfo;
  const request = get({ host: '127.0.0.1', port, path: `/tap?${query}`, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

function linesOf(all: string): unknown[] {
  return all
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

describe('GET /tap', () => {
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  it('shows requests until there are as many as were asked for', async () => {
    const { tap, ask } = await start();
    const response = await ask('lines=2&status=5xx');
    for (const status of [200, 500, 404, 503, 500]) tap.take(entryWith({ status }));
    const [first, second, end] = linesOf(await text(response));
    expect([first, second]).toMatchObject([{ status: 500 }, { status: 503 }]);
    expect(end).toEqual({ tap: { leftOut: 0, ended: 'lines' } });
    expect(tap.active).toBe(false);
  });

  it('ends when its time is over, with a note for each second', async () => {
    const { tap, ask, clock } = await start();
    const response = await ask('seconds=3&rate=1');
    tap.take(entryWith());
    tap.take(entryWith());
    clock.pass(3000);
    expect(linesOf(await text(response)).slice(1)).toEqual([
      { tap: { leftOut: 0 } },
      { tap: { leftOut: 1 } },
      { tap: { leftOut: 0, ended: 'time' } },
    ]);
  });

  it('drops what a reader does not take, holds no more than a bounded part of it, and says how much it was', async () => {
    const { tap, ask, clock } = await start();
    const response = await ask('rate=500&seconds=600');
    const path = `/${'x'.repeat(10_000)}`;
    const taken = 10_000;
    for (let i = 0; i < taken; i += 500) {
      for (let j = 0; j < 500; j += 1) tap.take(entryWith({ path }));
      clock.pass(1000);
      // The sockets get their turn: what is not dropped would now be on its way.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const all = text(response);
    clock.pass(600_000);
    const lines = linesOf(await all) as { path?: string; tap?: { leftOut: number } }[];
    const shown = lines.filter((one) => one.path !== undefined).length;
    const leftOut = lines.reduce((sum, one) => sum + (one.tap?.leftOut ?? 0), 0);
    expect(leftOut).toBeGreaterThan(taken / 2);
    expect(shown + leftOut).toBe(taken);
  });

  it('stops when the reader goes', async () => {
    const { tap, ask } = await start();
    const response = await ask('');
    expect(tap.active).toBe(true);
    response.destroy();
    await until('it to stop', () => !tap.active);
  });

  it.each([
    ['rate=0', 'rate must be from 1 to 500'],
    ['seconds=x', 'seconds must be from 1 to 3600'],
    ['status=ok', 'status must be like 404, 5xx or 400-499'],
    ['direction=up', 'direction must be inbound or outbound'],
  ])('answers %s with what is wrong', async (query, error) => {
    const { ask } = await start();
    const response = await ask(query);
    expect([response.statusCode, await text(response)]).toEqual([400, error]);
  });

  it('lets no more than a few watch at a time', async () => {
    const { ask } = await start();
    const open = await Promise.all([ask(''), ask(''), ask(''), ask('')]);
    const refused = await ask('');
    expect([refused.statusCode, await text(refused)]).toEqual([
      503,
      '4 watch this sidecar already',
    ]);
    expect(open.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200]);
  });
});
