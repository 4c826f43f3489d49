import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pause, systemClock } from '../runtime/clock.ts';
import type { EventSource } from './k8s-operator.ts';
import { TestApiServer } from './test-api-server.ts';
import { createTransport, type KubeTransport } from './transport.ts';

const policies = '/apis/tsmesh.dev/v1alpha1/trafficpolicies';
const silent = { debug() {}, info() {}, warn() {}, error() {} };

let server: TestApiServer;
let folder: string;
let transport: KubeTransport;
let source: EventSource;
let keys: string[];

async function until(what: string, look: () => boolean): Promise<void> {
  for (const deadline = systemClock.nowMs() + 10_000; systemClock.nowMs() < deadline;) {
    if (look()) return;
    await pause(systemClock, 10);
  }
  throw new Error(`not within 10 s: ${what}; keys: ${keys.join(', ')}`);
}

function put(name: string): void {
  server.put(policies, {
    apiVersion: 'tsmesh.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { namespace: 'shop', name },
  });
}

beforeEach(async () => {
  server = new TestApiServer();
  await server.listen();
  folder = await mkdtemp(join(tmpdir(), 'tsmesh-source-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, server.kubeconfig());
  transport = createTransport({ kubeconfig, nowMs: () => systemClock.nowMs() });
  keys = [];
  // After client-node (by transport.ts): the library asks for it by require().
  const { createEventSource } = await import('./k8s-operator.ts');
  source = createEventSource({
    transport,
    clock: systemClock,
    logger: silent,
    random: () => 0,
    onKey: (...key) => keys.push(key.join(' ')),
  });
});

afterEach(async () => {
  source.stop();
  transport.close();
  await server.goAway();
  await rm(folder, { recursive: true });
});

describe('the library behind its adapter', () => {
  it('gives the key of every object that is made, changed or deleted', async () => {
    await source.start();
    put('cart');
    await until('the new one', () => keys.length === 1);
    put('cart');
    await until('the change', () => keys.length === 2);
    server.remove('/apis/tsmesh.dev/v1alpha1/namespaces/shop/trafficpolicies/cart');
    await until('the deletion', () => keys.length === 3);
    expect(new Set(keys)).toEqual(new Set(['TrafficPolicy shop cart']));
  });

  it('outlives an API server that goes away, where the library itself would end the process', async () => {
    await source.start();
    put('cart');
    await until('the first key', () => keys.length === 1);
    await server.goAway();
    await server.listen();
    await until('a key after the gap', () => {
      put('cart');
      return keys.length > 1;
    });
  });

  it('outlives a kind that does not exist, and its own end', async () => {
    server.missing = [policies];
    await source.start();
    await until('the watches of the other kinds', () => server.openWatches === 3);
    source.stop();
    await until('the end of all watches', () => server.openWatches === 0);
  });
});
