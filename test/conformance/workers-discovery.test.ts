// A sidecar on two cores with an operator that the test holds: the main thread is this one, the worker a
// real thread. What is acknowledged holds in both, what either asks for is asked once, and the sidecar
// reports as one.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AppDeps } from '../../proxy/app-core.ts';
import { startSidecar, type Sidecar } from '../../proxy/app.ts';
import { systemClock } from '../../proxy/net/clock.ts';
import { createLogger } from '../../proxy/telemetry/logger.ts';
import type { WorkerPort } from '../../proxy/workers/fleet.ts';
import type { FromWorker } from '../../proxy/workers/messages.ts';
import { startThread } from '../../proxy/workers/thread.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  trustDomain,
  until,
  type IdentityDirectory,
} from '../support/identity-files.ts';
import { destination, endpoints, workload as loggingWorkload } from '../support/sidecar.ts';
import { startTestOperator, type TestOperator } from '../support/test-operator.ts';

const expected = { trustDomain, namespace: 'shop', serviceAccount: 'test' };
const authority = newAuthority();
const operatorOf = { namespace: 'tsmesh-system', serviceAccount: 'tsmesh-operator' };
const loopback = { host: '127.0.0.1', port: 0, destination: null };
const name = '10.96.0.7:80';
const many = 40;

/** A thread would write to the standard output of the test. */
const workload = () => ({ ...loggingWorkload(), accessLog: 'off' as const });

let directory: string;
let identity: IdentityDirectory;
let operator: TestOperator;
let sidecar: Sidecar;
let worker: HeldWorker;
let lost: string[];
let apps: Server[];
let sockets: Socket[];

/** A thread whose word that it obeyed can be kept back; what it reports comes through. */
class HeldWorker implements WorkerPort {
  private readonly thread: WorkerPort;
  private readonly kept: FromWorker[] = [];
  private listener: (message: FromWorker) => void = () => {};
  isHeld = false;

  constructor(thread: WorkerPort) {
    this.thread = thread;
    thread.onMessage((message) => {
      if (this.isHeld && message.type === 'answer' && message.answer.report === undefined)
        this.kept.push(message);
      else this.listener(message);
    });
  }

  release(): void {
    this.isHeld = false;
    for (const message of this.kept.splice(0)) this.listener(message);
  }

  post: WorkerPort['post'] = (message) => this.thread.post(message);
  onMessage: WorkerPort['onMessage'] = (listener) => void (this.listener = listener);
  onEnd: WorkerPort['onEnd'] = (listener) => this.thread.onEnd(listener);
  heapSnapshot = () => this.thread.heapSnapshot();
}

function deps(): AppDeps {
  const program = pathToFileURL(join(import.meta.dirname, '../../proxy/main.ts')).href;
  return {
    clock: systemClock,
    logger: createLogger({ level: 'error', wallTimeMs: () => Date.now(), write: () => {} }),
    accessLogOutput: { write: () => true, once: () => undefined },
    random: () => Math.random() / 50,
    afterTurn: (run) => void setImmediate(run),
    processFacts: () => ({ memory: { rss: 1, heapUsed: 1 }, cpuSeconds: 1, logDropped: 0 }),
    originalDestination: () => null,
    threads: {
      start: () => (worker = new HeldWorker(startThread(program))),
      onLost: (error) => void lost.push(error.message),
    },
  };
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tsmesh-workers-'));
  identity = newIdentityDirectory();
  identity.replace(issue(authority, expected));
  lost = [];
  apps = [];
  sockets = [];
  operator = await startTestOperator({ identity: issue(authority, operatorOf) });
  sidecar = await startSidecar(
    {
      source: {
        type: 'operator',
        addresses: [`127.0.0.1:${operator.port}`],
        pod: { namespace: 'shop', name: 'test-1', uid: 'u1', ips: ['127.0.0.1'] },
        stateDirectory: directory,
      },
      expectedIdentity: expected,
      identityDirectory: identity.path,
      outbound: [{ ...loopback, destination: { address: '10.96.0.7', port: 80 } }],
      inbound: [],
      health: loopback,
      adminPath: null,
      logLevel: 'error',
      gracePeriodMs: 2000,
      hookToken: null,
      probes: [],
      concurrency: 2,
    },
    deps(),
  );
  await until(() => operator.streams.length === 1);
  operator.push('n1', [workload()]);
  await operator.acknowledged('n1');
}, 20_000);

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await sidecar.end('test over');
  await operator.close();
  for (const app of apps) app.close();
  identity.remove();
  rmSync(directory, { recursive: true, force: true });
}, 20_000);

/** Says its word and closes. */
async function appThatSays(word: string): Promise<AddressInfo> {
  const app = createServer((socket) => socket.on('error', () => {}).end(word));
  apps.push(app);
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  return app.address() as AddressInfo;
}

async function heard(): Promise<string> {
  const socket = connect(sidecar.addresses.outbound[0]!.port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

function received() {
  return operator.streams.flatMap((one) => one.received);
}

function reports() {
  return received().flatMap(({ statistics }) => statistics ?? []);
}

/** The stream lives: a report more has come. */
async function aReport(): Promise<void> {
  const before = reports().length;
  await until(() => reports().length > before, 10_000);
}

describe('a push to a sidecar on two cores', () => {
  it('is acknowledged when both threads obey it, not before', async () => {
    const [first, second] = [await appThatSays('first'), await appThatSays('second')];
    const tcp = destination({ protocol: 'tcp' });
    operator.push('n2', [tcp, endpoints(first, null)]);
    await operator.acknowledged('n2');
    expect(new Set(await Promise.all(Array.from({ length: many }, heard)))).toEqual(
      new Set(['first']),
    );
    worker.isHeld = true;
    operator.push('n3', [endpoints(second, null)]);
    await aReport();
    expect(received().some(({ ack }) => ack?.nonce === 'n3')).toBe(false);
    worker.release();
    await operator.acknowledged('n3');
    expect(new Set(await Promise.all(Array.from({ length: many }, heard)))).toEqual(
      new Set(['second']),
    );
  }, 20_000);

  it('with a bad resource is refused once', async () => {
    const bad = { ...destination(), protocol: 'carrier-pigeon' } as unknown as ReturnType<
      typeof destination
    >;
    operator.push('n2', [bad]);
    expect(await operator.acknowledged('n2')).toMatchObject({
      errors: [{ key: `Destination/${name}`, path: '/protocol' }],
    });
    expect((await operator.acknowledged('n2'))!.errors).toHaveLength(1);
  });
});

describe('an unknown destination', () => {
  it('is asked for whichever thread the connection came to, and the answer serves both', async () => {
    const app = await appThatSays('served');
    const words = Promise.all(Array.from({ length: many }, heard));
    await until(() => received().some(({ subscribe }) => subscribe?.includes(name) === true));
    operator.push('n2', [destination({ protocol: 'tcp' }), endpoints(app, null)]);
    expect(new Set(await words)).toEqual(new Set(['served']));
  }, 20_000);
});

describe('what a sidecar on two cores reports', () => {
  it('is the sum of both threads', async () => {
    const app = await appThatSays('served');
    operator.push('n2', [destination({ protocol: 'tcp' }), endpoints(app, null)]);
    await operator.acknowledged('n2');
    await Promise.all(Array.from({ length: many }, heard));
    // The worker did part of it.
    expect(sidecar.counters.totals('outbound').connections).toBeLessThan(many);
    await until(() => reports().some(({ outbound }) => outbound.connections === many));
  }, 20_000);

  it('is up to date in the last report', async () => {
    const app = await appThatSays('served');
    operator.push('n2', [
      { ...workload(), statisticsIntervalMs: 300_000 },
      destination({ protocol: 'tcp' }),
      endpoints(app, null),
    ]);
    await operator.acknowledged('n2');
    await Promise.all(Array.from({ length: many }, heard));
    await sidecar.end('test');
    await until(() => reports().at(-1)?.outbound.connections === many);
    expect(lost).toEqual([]);
  }, 20_000);

  it('names the new certificate when both threads have it', async () => {
    const renewed = issue(authority, expected);
    worker.isHeld = true;
    identity.replace(renewed);
    await aReport();
    await aReport();
    expect(reports().some(({ certificate }) => certificate?.serial === renewed.serial)).toBe(false);
    worker.release();
    await until(() => reports().at(-1)?.certificate?.serial === renewed.serial, 10_000);
    await until(() => operator.streams.at(-1)!.serial === renewed.serial);
  }, 20_000);
});

describe('a sidecar whose stream is lost', () => {
  it('carries unknown destinations in both threads as the mesh says', async () => {
    const refusing = workload();
    refusing.outbound.whenDisconnected = 'refuse';
    operator.push('n2', [refusing]);
    await operator.acknowledged('n2');
    await operator.close();
    const words = await Promise.all(Array.from({ length: many }, heard));
    expect(new Set(words)).toEqual(new Set(['']));
  }, 20_000);
});
