// Every flag that an access log can have: each code of the error table is brought about between real sidecars and read from
// the log of the one that says it, here or in the test named below.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type Server } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { guarded, policy } from '../../test/support/authorization.ts';
import { call, listenOn, startPair, until } from '../../test/support/mesh-pair.ts';
import type { Call, MeshPair } from '../../test/support/mesh-pair.ts';
import { destination, endpoints, loopback, route, service } from '../../test/support/sidecar.ts';
import { startSidecar, workload, type TestSidecar } from '../../test/support/sidecar.ts';
import type { RetryPolicy } from '../api/resources.ts';
import { proxyErrors, type ProxyErrorCode } from '../errors.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Tests beside this one that read the flag from a log or from the counts. */
const elsewhere = {
  'connect-failed': 'two-sidecars-tcp',
  'connect-timeout': 'two-sidecars-times',
  'upstream-reset': 'two-sidecars-http',
  'idle-timeout': 'two-sidecars-times',
  'request-timeout': 'two-sidecars-hops',
  'retry-budget': 'two-sidecars-hops',
  'tls-handshake-failed': 'two-sidecars-tcp',
  'identity-mismatch': 'two-sidecars-http',
  'certificate-expired': 'two-sidecars-renewal',
  'fault-injected': 'two-sidecars-answers',
  'delay-injected': 'two-sidecars-answers',
  'no-backends': 'two-sidecars-answers',
  'registry-only': 'two-sidecars-outside',
  'own-port': 'two-sidecars-http',
  'no-original-destination': 'two-sidecars-http',
  'mtls-required': 'two-sidecars-http',
  'policy-denied': 'two-sidecars-authorization',
  'denied-by-peer': 'two-sidecars-authorization',
  'bad-request': 'two-sidecars-http',
  'head-too-large': 'two-sidecars-http',
  'unsupported-protocol': 'two-sidecars-http',
  'destination-limit': 'two-sidecars-limits',
  'rate-limited': 'two-sidecars-rate-limits',
  'client-closed': 'two-sidecars-http',
} as const satisfies Partial<Record<ProxyErrorCode, string>>;

interface Stage extends MeshPair {
  /** Where clients connect to. */
  port: number;
}

async function stageOf(app: Server, protocol: 'auto' | 'http2' = 'auto'): Promise<Stage> {
  const sockets = new Set<net.Socket>();
  app.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    for (const socket of sockets) socket.destroy();
  });
  pair.callee.apply(workload({ mtls: 'STRICT', protocol }));
  pair.route({ protocol });
  return { ...pair, port: pair.caller.outbound.address.port };
}

const ok = () => http.createServer((_, response) => void response.end('ok'));
const silent = () => http.createServer((request) => void request.resume());

function http2App(handle: (stream: http2.ServerHttp2Stream) => void, settings = {}): Server {
  const app = http2.createServer({ settings });
  app.on('session', (session) => session.on('error', () => undefined));
  app.on('stream', (stream) => {
    stream.on('error', () => undefined);
    handle(stream as http2.ServerHttp2Stream);
  });
  return app;
}

/** One request; what becomes of it is of no interest. */
function ask(options: Call): void {
  call(options).catch(() => undefined);
}

/** A gRPC call; its answer is of no interest. */
function callGrpc({ port }: Stage, head: http2.OutgoingHttpHeaders, settings = {}): void {
  const session = http2.connect(`http://${loopback}:${port}`, { settings });
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  const grpc = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request({ ...grpc, ...head });
  stream.on('error', () => undefined);
  stream.resume();
  stream.end('x');
}

const retry: RetryPolicy = {
  attempts: 1,
  on: ['5xx'],
  perTryTimeoutMs: null,
  backoffMs: 1,
  maxBackoffMs: 1,
  budgetPercent: 100,
  budgetMinConcurrent: 10,
};

/** An app that ends each stream with this code of HTTP/2 (RFC 9113 §7). */
async function resetWith(code: number): Promise<TestSidecar> {
  const stage = await stageOf(
    http2App((stream) => stream.close(code)),
    'http2',
  );
  ask({ port: stage.port, method: 'POST', body: 'x' });
  return stage.callee;
}

/** Brings it about; returns whose log is to say it. */
type Scene = () => Promise<TestSidecar>;

const scenes = {
  'upstream-cancelled': () => resetWith(8),
  'upstream-failed': () => resetWith(2),
  'upstream-overloaded': () => resetWith(11),
  'upstream-insecure': () => resetWith(12),
  'upstream-refused': () => resetWith(7),
  'upstream-protocol-error': async () => {
    const app = net.createServer(
      (socket) => void socket.on('data', () => socket.write('220 mail\r\n\r\n')),
    );
    const { port, callee } = await stageOf(app);
    ask({ port });
    return callee;
  },
  'app-unreachable': async () => {
    const { port, callee } = await stageOf(ok());
    callee.target.inbound = { address: loopback, port: 1 };
    ask({ port });
    return callee;
  },
  'deadline-passed': async () => {
    const stage = await stageOf(http2App(() => undefined));
    callGrpc(stage, { 'grpc-timeout': '5S' });
    await until('the app has it', () => stage.callee.inbound.inFlight() === 1);
    stage.caller.advance(5_000);
    return stage.caller;
  },
  'body-not-kept': async () => {
    let arrivals = 0;
    const app = http.createServer((request, response) => {
      arrivals += 1;
      request.resume().on('end', () => response.writeHead(503).end('failed'));
    });
    const stage = await stageOf(app);
    stage.route({ routes: [route({ retry })] });
    const post = { port: stage.port, method: 'POST' };
    // One byte less is kept, and sent again.
    await call({ ...post, body: Buffer.alloc(64 * 1024) });
    expect(arrivals).toBe(2);
    await until('that is logged', () => stage.caller.log.length === 1);
    stage.caller.log.length = 0;
    const answer = await call({ ...post, body: Buffer.alloc(64 * 1024 + 1) });
    expect([answer.status, answer.body.toString(), arrivals]).toEqual([503, 'failed', 3]);
    return stage.caller;
  },
  'per-try-timeout': async () => {
    const stage = await stageOf(silent());
    const once = { ...retry, attempts: 0, perTryTimeoutMs: 5_000 };
    stage.route({ routes: [route({ retry: once })] });
    ask({ port: stage.port });
    await until('the app has it', () => stage.callee.inbound.inFlight() === 1);
    stage.caller.advance(5_000);
    return stage.caller;
  },
  'no-identity': async () => {
    const { callee } = await stageOf(ok());
    const caller = await startSidecar('without a certificate');
    closers.push(() => caller.close());
    caller.target.outbound = service;
    const { spiffeId } = callee.identity.current()!;
    caller.apply(workload(), destination(), endpoints(callee.inbound.address, spiffeId));
    ask({ port: caller.outbound.address.port });
    return caller;
  },
  'no-route': async () => {
    const stage = await stageOf(ok());
    stage.route({ routes: [] });
    ask({ port: stage.port });
    return stage.caller;
  },
  'no-endpoints': async () => {
    const stage = await stageOf(ok());
    stage.route({}, endpoints([], null));
    ask({ port: stage.port });
    return stage.caller;
  },
  'destination-unknown': async () => {
    const { caller, port } = await stageOf(ok());
    caller.store.forget([`${service.address}:${service.port}`]);
    caller.apply({ ...workload(), outbound: { policy: 'AllowAny', whenDisconnected: 'refuse' } });
    caller.registry.value = 'disconnected';
    ask({ port });
    return caller;
  },
  overload: async () => {
    // So many wait for what the operator says of a destination; the next one does not. Otherwise 1,024 do.
    const maxWaiters = 4;
    const caller = await startSidecar('with room for few', {}, { maxWaiters });
    closers.push(() => caller.close());
    caller.apply(workload());
    caller.target.outbound = { address: '10.96.0.99', port: 80 };
    for (let i = 0; i <= maxWaiters; i += 1) {
      const socket = net.connect(caller.outbound.address.port, loopback);
      socket.on('error', () => undefined);
      closers.push(() => socket.destroy());
    }
    return caller;
  },
  'ambiguous-path': async () => {
    const { callee, port } = await stageOf(ok());
    const noAdmin = policy('DENY', [{ name: 'no admin', to: [{ paths: [{ prefix: '/admin' }] }] }]);
    callee.apply(guarded([noAdmin], {}, 'refuse'));
    ask({ port, path: '/a/..%2fadmin' });
    return callee;
  },
  'not-ready': async () => {
    const sidecar = await startSidecar('without configuration');
    closers.push(() => sidecar.close());
    sidecar.target.inbound = { address: loopback, port: 1 };
    ask({ port: sidecar.inbound.address.port });
    return sidecar;
  },
  'head-not-taken': async () => {
    const small = { maxHeaderListSize: 2_000 };
    const app = http2App(
      (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
      small,
    );
    const { callee, port } = await stageOf(app, 'http2');
    // Its settings are known by then.
    expect((await call({ port })).status).toBe(200);
    await until('the first is logged', () => callee.log.length === 1);
    callee.log.length = 0;
    expect((await call({ port, headers: { 'x-long': 'x'.repeat(3_000) } })).status).toBe(431);
    return callee;
  },
  'answer-head-not-taken': async () => {
    const long = { ':status': 200, 'x-long': 'x'.repeat(3_000) };
    const stage = await stageOf(http2App((stream) => stream.respond(long, { endStream: true })));
    callGrpc(stage, {}, { maxHeaderListSize: 2_000 });
    return stage.caller;
  },
  'request-incomplete': async () => {
    const { caller, port } = await stageOf(ok());
    const socket = net.connect(port, loopback);
    let text = '';
    socket.on('data', (bytes) => (text += bytes.toString()));
    closers.push(() => socket.destroy());
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nx-half: ');
    await until('the first was answered', () => text.includes('ok'));
    await until('the first is logged', () => caller.log.length === 1);
    caller.log.length = 0;
    const later = setInterval(() => caller.advance(5_000), 20);
    closers.push(() => clearInterval(later));
    await until('the second is refused', () => text.includes(' 408 '));
    return caller;
  },
  draining: async () => {
    const { callee } = await stageOf(ok());
    callee.apply(workload({ mtls: 'PERMISSIVE' }));
    callee.inbound.refuseNew();
    ask({ port: callee.inbound.address.port });
    return callee;
  },
} satisfies Record<Exclude<ProxyErrorCode, keyof typeof elsewhere>, Scene>;

describe('the log of the sidecar that says it', () => {
  it.each(Object.entries(scenes))(
    'has the flag of %s',
    async (code, scene) => {
      const { log } = await scene();
      const { flag } = proxyErrors[code as ProxyErrorCode];
      await until(`the flag ${flag} is logged`, () => log.length > 0);
      expect(log.map((entry) => entry.flag)).toEqual([flag]);
    },
    30_000,
  );

  it.each(Object.entries(elsewhere))('has the flag of %s (%s)', (code, name) => {
    const test = readFileSync(new URL(`${name}.test.ts`, import.meta.url), 'utf8');
    expect(test).toContain(`'${proxyErrors[code as ProxyErrorCode].flag}'`);
  });
});
