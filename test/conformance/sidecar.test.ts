// A whole sidecar in this process, on loopback, with real files, real TLS and an operator's end that the
// test holds: start, readiness, discovery, restart without an operator, drain, probes, admin.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, request, type Server } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RewrittenProbe } from '../../proxy/api/bootstrap.ts';
import { startSidecar, type Sidecar } from '../../proxy/app.ts';
import { callAdmin } from '../../proxy/admin/client.ts';
import type { Config } from '../../proxy/config.ts';
import { systemClock } from '../../proxy/net/clock.ts';
import { createLogger } from '../../proxy/telemetry/logger.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  trustDomain,
  until,
  type IdentityDirectory,
} from '../support/identity-files.ts';
import { destination, endpoints, workload } from '../support/sidecar.ts';
import { startTestOperator, type TestOperator } from '../support/test-operator.ts';

const expected = { trustDomain, namespace: 'shop', serviceAccount: 'test' };
const authority = newAuthority();
const operatorOf = { namespace: 'tsmesh-system', serviceAccount: 'tsmesh-operator' };
const hookToken = 'a'.repeat(32);
const loopback = { host: '127.0.0.1', port: 0, destination: null };

let directory: string;
let identity: IdentityDirectory;
let logged: string[];
let operator: TestOperator | null;
let sidecar: Sidecar | null;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsmesh-sidecar-'));
  identity = newIdentityDirectory();
  identity.replace(issue(authority, expected));
  logged = [];
  operator = null;
  sidecar = null;
});

afterEach(async () => {
  await sidecar?.end('test over');
  await operator?.close();
  identity.remove();
  rmSync(directory, { recursive: true, force: true });
});

function config(over: Partial<Config> = {}, port = operator?.port ?? 1): Config {
  return {
    source: {
      type: 'operator',
      addresses: [`127.0.0.1:${port}`],
      pod: { namespace: 'shop', name: 'test-1', uid: 'u1', ips: ['127.0.0.1'] },
      stateDirectory: directory,
    },
    expectedIdentity: expected,
    identityDirectory: identity.path,
    outbound: [{ ...loopback, destination: { address: '10.96.0.7', port: 80 } }],
    inbound: [{ ...loopback, destination: { address: '127.0.0.1', port: 9 } }],
    health: loopback,
    adminPath: join(directory, 'admin.sock'),
    logLevel: 'debug',
    gracePeriodMs: 2000,
    hookToken,
    probes: [],
    concurrency: 1,
    ...over,
  };
}

async function start(over: Partial<Config> = {}): Promise<Sidecar> {
  sidecar = await startSidecar(config(over), {
    clock: systemClock,
    logger: createLogger({
      level: 'debug',
      wallTimeMs: () => Date.now(),
      write: (line) => void logged.push(line),
    }),
    accessLogOutput: { write: () => true, once: () => undefined },
    // Small, so that jitter does not hold tests up.
    random: () => Math.random() / 50,
    afterTurn: (run) => void setImmediate(run),
    processFacts: () => ({ memory: { rss: 1, heapUsed: 1 }, cpuSeconds: 1, logDropped: 0 }),
    originalDestination: () => null,
  });
  return sidecar;
}

async function startOperator(port = 0): Promise<TestOperator> {
  operator = await startTestOperator({ identity: issue(authority, operatorOf), port });
  return operator;
}

interface Answer {
  status: number;
  body: string;
}

function get(path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = sidecar!.addresses.health;
    request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode!, body }), reject);
    })
      .on('error', reject)
      .end();
  });
}

describe('a sidecar that starts', () => {
  it('is ready once it has an identity, its ports and its configuration', async () => {
    await startOperator();
    await start();
    expect(await get('/ready')).toEqual({
      status: 503,
      body: '{"pending":{"configuration":"the operator has not sent any yet"}}',
    });
    await until(() => operator!.streams.length === 1);
    operator!.push('n1', [workload()]);
    expect(await operator!.acknowledged('n1')).toEqual({ nonce: 'n1', errors: [] });
    expect(await get('/ready')).toEqual({ status: 200, body: 'ready' });
  });

  it('is not ready without a certificate and says what is wrong with the files', async () => {
    identity.replace({ ...issue(authority, expected), keyPem: 'nothing' });
    await start();
    const { status, body } = await get('/ready');
    expect(status).toBe(503);
    expect(JSON.parse(body)).toMatchObject({
      pending: { identity: 'tls.key holds no private key that can be read' },
    });
  });

  it('connects as soon as the certificate is there', async () => {
    await startOperator();
    identity.replace({ ...issue(authority, expected), keyPem: 'nothing' });
    await start();
    identity.replace(issue(authority, expected));
    await until(() => operator!.streams.length === 1);
    expect(operator!.streams[0]!.received[0]).toMatchObject({ hello: { pod: { uid: 'u1' } } });
  });

  it('does not talk to an operator that proves another identity', async () => {
    operator = await startTestOperator({
      identity: issue(authority, { namespace: 'shop', serviceAccount: 'impostor' }),
    });
    await start();
    await until(() => logged.some((line) => line.includes('discovery not connected')));
    expect(logged.join('')).toContain(
      'the other side proved spiffe://cluster.local/ns/shop/sa/impostor',
    );
    expect(operator.streams).toHaveLength(0);
  });

  it('says in its log why the operator refused it', async () => {
    operator = await startTestOperator({ identity: issue(authority, operatorOf), accept: false });
    await start();
    await until(() => operator!.streams.length >= 1);
    operator.streams[0]!.refuse(7, 'this pod runs as another service account');
    await until(() => logged.some((line) => line.includes('gRPC status 7')));
    expect(logged.join('')).toContain('this pod runs as another service account');
  });

  it('fails in words where a port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    await expect(start({ outbound: [{ ...loopback, port }] })).rejects.toThrow('EADDRINUSE');
    taken.close();
  });
});

describe('a sidecar on its stream', () => {
  it('refuses a bad resource alone and keeps what it had', async () => {
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    const good = destination({ protocol: 'tcp' });
    operator!.push('n1', [workload(), good]);
    await operator!.acknowledged('n1');
    const bad = { ...destination(), protocol: 'carrier-pigeon' } as unknown as typeof good;
    operator!.push('n2', [bad, workload()]);
    const ack = await operator!.acknowledged('n2');
    expect(ack?.errors).toMatchObject([{ key: `Destination/${good.name}`, path: '/protocol' }]);
    const shown = JSON.parse(await admin('/config')) as { resources: { resource: object }[] };
    expect(shown.resources.map(({ resource }) => resource)).toContainEqual(good);
  });

  it('asks for a destination that an app connects to', async () => {
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    operator!.push('n1', [workload()]);
    await operator!.acknowledged('n1');
    const app = connect(sidecar!.addresses.outbound[0]!.port, '127.0.0.1');
    app.on('error', () => {});
    const asked = () => operator!.streams[0]!.received.flatMap((one) => one.subscribe ?? []);
    await until(() => asked().includes('10.96.0.7:80'));
    app.destroy();
  });

  it('reports its counters and the serial in force', async () => {
    await startOperator();
    const material = issue(authority, expected);
    identity.replace(material);
    await start();
    const reports = () =>
      operator!.streams.flatMap((one) =>
        one.received.flatMap(({ statistics }) => statistics ?? []),
      );
    await until(() => reports().length > 0);
    expect(reports()[0]).toMatchObject({
      certificate: { serial: material.serial },
      inbound: { requests: 0 },
    });
  });

  it('moves to a stream with the new certificate, then leaves the old one', async () => {
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    const renewed = issue(authority, expected);
    identity.replace(renewed);
    await until(() => operator!.streams.length === 2, 10_000);
    expect(operator!.streams[1]!.serial).toBe(renewed.serial);
    await until(() => operator!.streams[0]!.closed);
    expect(operator!.streams[1]!.closed).toBe(false);
  }, 15_000);

  it('survives bytes that are no message, and connects again', async () => {
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    operator!.streams[0]!.sendRaw(Buffer.from([1, 0, 0, 0, 2, 123, 125]));
    await until(() => operator!.streams.length === 2);
    expect(logged.join('')).toContain('compressed');
  });
});

describe('a sidecar whose operator is away', () => {
  it('starts with what it had before', async () => {
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    operator!.push('n1', [workload(), destination(), endpoints([], null)]);
    await operator!.acknowledged('n1');
    await sidecar!.end('restart');
    await operator!.close();
    await start();
    expect((await get('/ready')).status).toBe(200);
    const shown = JSON.parse(await admin('/config')) as { resources: unknown[] };
    expect(shown.resources).toHaveLength(3);
  });

  it('holds a connection to an unknown destination until the operator is back a moment later', async () => {
    const app = createServer((socket) => socket.on('error', () => {}).end('served')).listen(
      0,
      '127.0.0.1',
    );
    await new Promise((resolve) => app.once('listening', resolve));
    const refusing = workload();
    refusing.outbound.whenDisconnected = 'refuse';
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    operator!.push('n1', [refusing]);
    await operator!.acknowledged('n1');
    const { port } = operator!;
    await operator!.close();
    const caller = connect(sidecar!.addresses.outbound[0]!.port, '127.0.0.1');
    const answer = text(caller);
    await startOperator(port);
    const hello = () => operator!.streams[0]?.received[0]?.hello;
    await until(() => hello() !== undefined);
    expect(hello()!.subscribe).toContain('10.96.0.7:80');
    const at = app.address() as AddressInfo;
    operator!.push('n2', [destination({ protocol: 'tcp' }), endpoints(at, null)]);
    expect(await answer).toBe('served');
    app.close();
  });

  it('tells a new operator what it holds', async () => {
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    operator!.push('n1', [workload()]);
    await operator!.acknowledged('n1');
    const { port } = operator!;
    await operator!.close();
    await startOperator(port);
    await until(() => operator!.streams.length === 1 && operator!.streams[0]!.received.length > 0);
    expect(operator!.streams[0]!.received[0]).toMatchObject({
      hello: { held: { 'Workload/self': 'n1' } },
    });
  });

  it.each([
    ['damaged', '{"format":1,'],
    ['of another pod', JSON.stringify({ format: 1, owner: 'other', resources: [] })],
    ['of another version', JSON.stringify({ format: 99, owner: 'x', resources: [] })],
  ])('does not use a snapshot that is %s', async (_what, content) => {
    writeFileSync(join(directory, 'snapshot.json'), content);
    await start();
    expect((await get('/ready')).status).toBe(503);
    expect(logged.join('')).toContain('snapshot not used');
  });
});

describe('the end of a sidecar', () => {
  it('is announced to the operator, and the hook returns at once where nothing is open', async () => {
    await startOperator();
    await start();
    await until(() => operator!.streams.length === 1);
    const startedMs = performance.now();
    expect(await get(`/drained/${hookToken}`)).toEqual({ status: 200, body: 'drained' });
    expect(performance.now() - startedMs).toBeLessThan(400);
    await until(() => operator!.streams[0]!.received.some((one) => one.draining === true));
  });

  it('waits for a request in flight, but not beyond the grace period', async () => {
    let called = false;
    const app = createHttpServer(() => (called = true)).listen(0, '127.0.0.1');
    await new Promise((resolve) => app.once('listening', resolve));
    const { port } = app.address() as AddressInfo;
    const resources = [workload({ protocol: 'http1' })];
    await start({
      source: { type: 'file', resources },
      inbound: [{ ...loopback, destination: { address: '127.0.0.1', port } }],
    });
    const caller = connect(sidecar!.addresses.inbound[0]!.port, '127.0.0.1');
    caller.on('error', () => {});
    caller.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await until(() => called);
    const startedMs = performance.now();
    await get(`/drained/${hookToken}`);
    const waitedMs = performance.now() - startedMs;
    expect(waitedMs).toBeGreaterThan(1000);
    expect(waitedMs).toBeLessThan(2000);
    caller.destroy();
    app.closeAllConnections();
    app.close();
  });
});

async function admin(path: string, method = 'GET'): Promise<string> {
  const out = join(directory, 'out');
  const { createWriteStream } = await import('node:fs');
  const file = createWriteStream(out);
  const streams = { input: process.stdin, output: file };
  await callAdmin(join(directory, 'admin.sock'), [method, path], streams);
  await new Promise<void>((resolve) => file.end(resolve));
  return readFileSync(out, 'utf8');
}

describe('the admin socket', () => {
  it('shows the mTLS mode in force with the policy that decided it', async () => {
    const resources = [workload({ mtls: 'STRICT', decidedBy: 'PeerAuthentication shop/strict' })];
    await start({ source: { type: 'file', resources } });
    expect(JSON.parse(await admin('/mtls'))).toEqual({
      ports: [
        {
          port: 'other',
          mtls: 'STRICT',
          decidedBy: 'PeerAuthentication shop/strict',
          protocol: 'auto',
        },
      ],
    });
  });

  it('changes the log level and refuses one that does not exist', async () => {
    await start();
    expect(JSON.parse(await admin('/log-level?level=error', 'PUT'))).toEqual({ level: 'error' });
    expect(await admin('/log-level?level=loud', 'PUT')).toContain('level must be one of');
    expect(JSON.parse(await admin('/log-level'))).toEqual({ level: 'error' });
  });

  it('never shows a key', async () => {
    await start();
    const { paths } = JSON.parse(await admin('/')) as { paths: string[] };
    const read = paths.filter((path) => path.startsWith('GET /') && path !== 'GET /tap');
    expect(read.length).toBeGreaterThan(9);
    for (const path of read)
      expect(await admin(path.slice('GET '.length))).not.toContain('PRIVATE KEY');
  });

  it('shows the chain in force, what is open, and how late the event loop is', async () => {
    await start();
    const { chain } = JSON.parse(await admin('/identity')) as { chain: { sha256: string }[] };
    expect(chain[0]!.sha256).toMatch(/^[0-9A-F]{64}$/);
    expect(JSON.parse(await admin('/connections/list'))).toMatchObject({
      inbound: { count: 0, listed: [] },
      outbound: { count: 0, listed: [] },
    });
    expect(JSON.parse(await admin('/event-loop'))).toHaveProperty(['thread 0']);
  });
});

describe('rewritten probes', () => {
  let app: Server;
  let appPort: number;
  let seen: { url: string; headers: NodeJS.Dict<string | string[]> }[];

  beforeEach(async () => {
    seen = [];
    app = createHttpServer((incoming, response) => {
      seen.push({ url: incoming.url!, headers: incoming.headers });
      if (incoming.url === '/silent') return;
      if (incoming.url === '/moved') response.writeHead(302, { location: '/healthy' });
      else if (incoming.url === '/away')
        response.writeHead(302, { location: 'http://example.com/' });
      else response.writeHead(incoming.url === '/sick' ? 500 : 200);
      response.end(incoming.url === '/sick' ? 'no database' : 'fine');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => app.once('listening', resolve));
    appPort = (app.address() as AddressInfo).port;
  });

  afterEach(() => {
    app.closeAllConnections();
    app.close();
  });

  function probe(path: string, headers: { name: string; value: string }[] = []): RewrittenProbe {
    return {
      path: '/probe/app/liveness',
      timeoutSeconds: 1,
      check: { type: 'http', scheme: 'http', host: '', port: appPort, path, headers },
    };
  }

  it.each([
    ['/healthy', 200, 'fine'],
    ['/sick', 500, 'no database'],
    ['/moved', 200, 'fine'],
    ['/away', 200, 'redirected to example.com'],
    ['/silent', 504, 'no answer from the app within 1 s'],
  ])('give what the app answers at %s', async (path, status, body) => {
    await start({ probes: [probe(path)] });
    expect(await get('/probe/app/liveness')).toEqual({ status, body });
  });

  it('send the headers of the original', async () => {
    const headers = [
      { name: 'Host', value: 'health.example' },
      { name: 'X-Check', value: 'yes' },
    ];
    await start({ probes: [probe('/healthy?deep=1', headers)] });
    await get('/probe/app/liveness');
    expect(seen[0]!.url).toBe('/healthy?deep=1');
    expect(seen[0]!.headers).toMatchObject({ host: 'health.example', 'x-check': 'yes' });
  });

  it('say that the app refused the connection', async () => {
    await start({ probes: [{ ...probe('/'), check: { type: 'tcp', host: '', port: 1 } }] });
    const { status, body } = await get('/probe/app/liveness');
    expect(status).toBe(503);
    expect(body).toContain('ECONNREFUSED');
  });

  it('connect to a TCP port', async () => {
    await start({ probes: [{ ...probe('/'), check: { type: 'tcp', host: '', port: appPort } }] });
    expect(await get('/probe/app/liveness')).toEqual({ status: 200, body: 'connected' });
  });

  it('are not found under a path that was not rewritten', async () => {
    await start({ probes: [probe('/healthy')] });
    expect((await get('/probe/app/readiness')).status).toBe(404);
  });
});
