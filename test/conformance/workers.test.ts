// A sidecar on two cores (`concurrency: 2`), as a process: both threads carry traffic on the same ports,
// and to whoever looks from outside they are one sidecar. With an operator: workers-discovery.test.ts.

import { once } from 'node:events';
import { createServer as createHttpServer, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { freePort } from '../../hack/lib/free-ports.ts';
import type { LocalFile } from '../../proxy/api/validate.ts';
import { alpn } from '../../proxy/api/constants.ts';
import { evaluateInWorker } from '../support/inspector.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  until,
  type IdentityDirectory,
} from '../support/identity-files.ts';
import { metric } from '../support/metrics.ts';
import { destination, endpoints, service, workload } from '../support/sidecar.ts';
import { startSidecarProcess, type SidecarProcess } from '../support/sidecar-process.ts';

const authority = newAuthority();
const hookToken = 'b'.repeat(32);
/** The kernel spreads them by hash: that all land on one of two is one chance in 2^39. */
const many = 40;

interface ThreadView {
  inbound: { connections: number; inFlight: number };
  outbound: { connections: number; inFlight: number };
}
interface ConnectionView extends ThreadView {
  threads: ThreadView[];
}

let app: Server;
let appPort: number;
/** Answers that the app owes, by path. */
const owed = new Map<string, ServerResponse>();
let identity: IdentityDirectory;
const sidecars: SidecarProcess[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  app = createHttpServer((request, response) => {
    if (request.url!.startsWith('/hold/')) owed.set(request.url!, response);
    else response.end('served');
  }).listen(0, '127.0.0.1');
  await once(app, 'listening');
  appPort = (app.address() as AddressInfo).port;
});

afterAll(() => {
  app.closeAllConnections();
  app.close();
});

beforeEach(() => {
  identity = newIdentityDirectory();
  identity.replace(issue(authority, { serviceAccount: 'test' }));
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const response of owed.values()) response.destroy();
  owed.clear();
  await Promise.all(sidecars.splice(0).map((one) => one.stop()));
  identity.remove();
});

async function start(content: Partial<LocalFile>, flags: string[] = []): Promise<SidecarProcess> {
  const started = await startSidecarProcess(
    { resources: [workload()], concurrency: 2, hookToken, ...content },
    flags,
  );
  sidecars.push(started);
  return started;
}

async function inboundTo(content: Partial<LocalFile> = {}, flags: string[] = []) {
  const port = await freePort();
  const listener = { listen: `127.0.0.1:${port}`, destination: `127.0.0.1:${appPort}` };
  return { port, sidecar: await start({ inbound: [listener], ...content }, flags) };
}

/** Sends one request and keeps the connection. */
function ask(port: number, path = '/'): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nhost: app\r\n\r\n`);
  return new Promise((resolve) => socket.once('connect', () => resolve(socket)));
}

async function askAndWait(port: number): Promise<void> {
  const socket = await ask(port);
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  expect(bytes.toString('latin1')).toMatch(/^HTTP\/1.1 200 /);
}

async function threadsOf(sidecar: SidecarProcess): Promise<ThreadView[]> {
  return ((await sidecar.admin('/connections')) as ConnectionView).threads;
}

describe('a sidecar on two cores', () => {
  it('spreads connections over both and counts them as one', async () => {
    const { port, sidecar } = await inboundTo();
    for (let n = 0; n < many; n += 1) await askAndWait(port);
    const view = (await sidecar.admin('/connections')) as ConnectionView;
    expect(view.inbound).toEqual({ connections: many, inFlight: 0 });
    expect(view.threads).toHaveLength(2);
    for (const { inbound } of view.threads) expect(inbound.connections).toBeGreaterThan(0);
    const { inbound } = (await sidecar.admin('/connections/list')) as {
      inbound: { listed: { thread: number; carries: string; from: string }[] };
    };
    expect(new Set(inbound.listed.map(({ thread }) => thread))).toEqual(new Set([0, 1]));
    expect(inbound.listed).toHaveLength(many);
    expect(inbound.listed[0]).toMatchObject({ carries: 'HTTP/1.1' });
    expect(Object.keys((await sidecar.admin('/event-loop')) as object)).toEqual([
      'thread 0',
      'thread 1',
    ]);
    const metrics = (await sidecar.health('/metrics')).body;
    expect(metric(metrics, 'tsmesh_requests_total', 'direction="inbound"')).toBe(many);
    const histogram = 'tsmesh_request_duration_seconds';
    expect(metric(metrics, `${histogram}_count`, 'direction="inbound"')).toBe(many);
    expect(metric(metrics, `${histogram}_bucket`, 'direction="inbound"', '"+Inf"')).toBe(many);
    await until(() => sidecar.logged.filter((line) => line['access'] === true).length === many);
  }, 20_000);

  it('carries requests to another one over mutual TLS', async () => {
    const strict = { ...workload({ mtls: 'STRICT' }), serviceAccount: 'test' };
    const own = { identity: identity.path };
    const callee = await inboundTo({ ...own, resources: [strict] });
    const entry = await freePort();
    const peer = { address: '127.0.0.1', port: callee.port, family: 'IPv4' };
    const id = 'spiffe://cluster.local/ns/shop/sa/test';
    const caller = await start({
      ...own,
      resources: [workload(), destination(), endpoints(peer, id)],
      outbound: [
        { listen: `127.0.0.1:${entry}`, destination: `${service.address}:${service.port}` },
      ],
    });
    for (let n = 0; n < many; n += 1) await askAndWait(entry);
    const threads = await threadsOf(caller);
    for (const { outbound } of threads) expect(outbound.connections).toBeGreaterThan(0);
    for (const [sidecar, direction] of [
      [caller, 'outbound'],
      [callee.sidecar, 'inbound'],
    ] as const) {
      const metrics = (await sidecar.health('/metrics')).body;
      expect(metric(metrics, 'tsmesh_requests_mtls_total', `"${direction}"`)).toBe(many);
    }
  }, 20_000);

  it('says so where a port is taken by another program', async () => {
    const listener = { listen: `127.0.0.1:${appPort}`, destination: '127.0.0.1:9' };
    await expect(start({ inbound: [listener] })).rejects.toThrow('ended with 1');
  }, 20_000);

  it('changes the log level in both and profiles each', async () => {
    const { sidecar } = await inboundTo();
    expect(await sidecar.admin('/log-level?level=error', 'PUT')).toEqual({ level: 'error' });
    for (const worker of [0, 1]) {
      const profile = await sidecar.admin(`/profile/cpu?seconds=0.1&worker=${worker}`, 'POST');
      expect(profile).toHaveProperty('nodes');
      const heap = await sidecar.admin(`/profile/heap?worker=${worker}`, 'POST');
      expect(heap).toHaveProperty('snapshot');
    }
    expect(await sidecar.admin('/profile/cpu?worker=2', 'POST')).toHaveProperty('error');
  }, 30_000);
});

describe('the drain of a sidecar on two cores', () => {
  /** Paths of one held request on each thread. */
  async function holdOnEach(port: number, sidecar: SidecarProcess): Promise<[string, string]> {
    const held: (string | null)[] = [null, null];
    for (let n = 0; held.includes(null); n += 1) {
      const before = await threadsOf(sidecar);
      const path = `/hold/${n}`;
      const socket = await ask(port, path);
      await until(() => owed.has(path));
      const after = await threadsOf(sidecar);
      const at = after.findIndex((one, i) => one.inbound.inFlight > before[i]!.inbound.inFlight);
      if (held[at] === null) held[at] = path;
      else await release(path, socket);
    }
    return held as [string, string];
  }

  async function release(path: string, socket: Socket): Promise<void> {
    owed.get(path)!.end('late');
    await once(socket, 'data');
    socket.destroy();
  }

  it.each([
    ['the main thread', 0],
    ['the worker', 1],
  ])(
    'waits for the request in flight in %s',
    async (_who, last) => {
      const { port, sidecar } = await inboundTo({ gracePeriodSeconds: 20 });
      const held = await holdOnEach(port, sidecar);
      let drained = false;
      const hook = sidecar.health(`/drained/${hookToken}`).then((answer) => {
        drained = true;
        return answer;
      });
      await until(() => sidecar.logged.some((line) => line['message'] === 'drain begins'));
      owed.get(held[1 - last]!)!.end('first');
      // Longer than the quiet time after which an idle sidecar is drained.
      const startedMs = performance.now();
      await until(() => performance.now() - startedMs > 800);
      expect(drained).toBe(false);
      owed.get(held[last]!)!.end('last');
      expect(await hook).toEqual({ status: 200, body: 'drained' });
      expect(sidecar.logged.find((line) => line['message'] === 'drained')).toMatchObject({
        inFlight: 0,
      });
    },
    20_000,
  );

  it('refuses in both threads what comes afterwards', async () => {
    const { port, sidecar } = await inboundTo();
    await sidecar.health(`/drained/${hookToken}`);
    for (let n = 0; n < many; n += 1) {
      const [bytes] = (await once(await ask(port), 'data')) as [Buffer];
      expect(bytes.toString('latin1')).toMatch(/^HTTP\/1.1 503 /);
    }
  }, 20_000);

  it('ends in order', async () => {
    const { port, sidecar } = await inboundTo();
    for (let n = 0; n < many; n += 1) await askAndWait(port);
    expect(await sidecar.stop()).toBe(0);
  }, 20_000);
});

describe('a renewed certificate', () => {
  function handshake(port: number): Promise<string> {
    const client = issue(authority, { serviceAccount: 'client' });
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = connectTls({
        host: '127.0.0.1',
        port,
        cert: client.chainPem,
        key: client.keyPem,
        ca: client.rootsPem,
        ALPNProtocols: [alpn.http],
        checkServerIdentity: () => undefined,
      });
      sockets.push(socket);
      socket.on('error', reject);
      socket.on('secureConnect', () => resolve(socket.getPeerCertificate().serialNumber));
    });
  }

  it('is used by both threads once it is in force', async () => {
    const { port, sidecar } = await inboundTo({
      identity: identity.path,
      resources: [{ ...workload({ mtls: 'STRICT' }), serviceAccount: 'test' }],
    });
    const renewed = issue(authority, { serviceAccount: 'test' });
    expect(await handshake(port)).not.toBe(renewed.serial);
    identity.replace(renewed);
    await until(() => sidecar.logged.some((line) => line['serial'] === renewed.serial));
    const serials = await Promise.all(Array.from({ length: many }, () => handshake(port)));
    expect(new Set(serials)).toEqual(new Set([renewed.serial]));
    for (const { inbound } of await threadsOf(sidecar)) {
      expect(inbound.connections).toBeGreaterThan(1);
    }
  }, 20_000);
});

describe('a worker that dies', () => {
  it.each([
    ['throws what nobody catches', 'setTimeout(() => { throw new Error("a defect") })', 'a defect'],
    ['leaves', 'process.exit(3)', 'exit code 3'],
  ])(
    'ends the sidecar where it %s, so that the kubelet starts it anew',
    async (_how, code, why) => {
      const { sidecar } = await inboundTo({}, ['--inspect=127.0.0.1:0']);
      await evaluateInWorker(sidecar, code);
      expect(await sidecar.ended).toBe(1);
      const crash = sidecar.logged.find((line) => line['message'] === 'sidecar crashed');
      expect(crash?.['reason']).toContain('worker 1 ended');
      expect(crash?.['reason']).toContain(why);
    },
    20_000,
  );

  it('that is stuck takes the sidecar out of readiness', async () => {
    const { sidecar } = await inboundTo({}, ['--inspect=127.0.0.1:0']);
    expect((await sidecar.health('/ready')).status).toBe(200);
    await evaluateInWorker(sidecar, 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)');
    let answer = { status: 200, body: '' };
    for (const endMs = performance.now() + 10_000; performance.now() < endMs;) {
      if (answer.status !== 200) break;
      answer = await sidecar.health('/ready');
    }
    expect(answer.body).toContain('worker 1 does not answer');
    sidecar.child.kill('SIGKILL');
    expect(await sidecar.ended).toBe('SIGKILL');
  }, 20_000);
});
