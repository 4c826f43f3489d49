// A sidecar as a process of its own whose standard output is a pipe that nobody reads.

import { Agent, createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startProcessPair, type ProcessPair } from '../../test/support/process-pair.ts';

const requests = 10_000;

describe('a sidecar whose log nobody reads', () => {
  let app: Server;
  let pair: ProcessPair;
  beforeAll(async () => {
    app = createServer((_, response) => response.end('ok'));
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    const address = app.address() as AddressInfo;
    const apps = [{ name: 'cart', protocol: 'http1' as const, address }];
    pair = await startProcessPair({ apps, accessLog: 'all' });
  }, 60_000);
  afterAll(async () => {
    await pair.close();
    app.closeAllConnections();
    app.close();
  });

  it('serves as before, and counts the lines that it dropped', async () => {
    // Its end of the pipe stays open: full, not broken.
    for (const { child } of [pair.caller, pair.callee]) child.stdout!.pause();
    const agent = new Agent({ keepAlive: true, maxSockets: 32 });
    const path = `/${'x'.repeat(900)}`;
    const ask = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const call = { host: '127.0.0.1', port: pair.entry['cart']!, path, agent };
        get(call, (response) => {
          response.resume();
          response.once('end', () => resolve(response.statusCode!));
        }).once('error', reject);
      });
    let left = requests;
    const answers: Record<number, number> = {};
    const worker = async (): Promise<void> => {
      while ((left -= 1) >= 0) {
        const status = await ask();
        answers[status] = (answers[status] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    agent.destroy();
    expect(answers).toEqual({ 200: requests });
    for (const sidecar of [pair.caller, pair.callee])
      expect(await sidecar.metric('tsmesh_access_log_dropped_total')).toBeGreaterThan(0);
  }, 120_000);
});
