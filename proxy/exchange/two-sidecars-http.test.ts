import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import type { EndpointsResource } from '../api/resources.ts';
import { endpoints, route, service, workload } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function startHttpApp(handler: http.RequestListener): Promise<http.Server> {
  const server = http.createServer(handler);
  await listenOn(server);
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

async function pairFor(handler: http.RequestListener): Promise<MeshPair & { app: http.Server }> {
  const app = await startHttpApp(handler);
  const pair = await startPair(app.address() as net.AddressInfo);
  closers.push(() => pair.close());
  return { ...pair, app };
}

const ok: http.RequestListener = (_, response) => void response.end('ok');
const port = (pair: MeshPair) => pair.caller.outbound.address.port;

describe('HTTP/1.1 through two sidecars', () => {
  it('forwards method, target, host, duplicates and their order, and the status', async () => {
    let seen: http.IncomingMessage | null = null;
    const pair = await pairFor((request, response) => {
      seen = request;
      response.writeHead(404, [
        ['Set-Cookie', 'a=1'],
        ['X-Other', 'é'],
        ['Set-Cookie', 'b=2'],
      ]);
      response.end('gone');
    });
    const answer = await call({
      port: port(pair),
      method: 'DELETE',
      path: '/a%2Fb?c=d&c=e',
      headers: { host: 'cart.shop', 'X-Twice': ['1', '2'] },
    });
    expect(answer.status).toBe(404);
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.headers['x-other']).toBe('é');
    expect(answer.body.toString()).toBe('gone');
    const request = seen as unknown as http.IncomingMessage;
    expect(request.method).toBe('DELETE');
    expect(request.url).toBe('/a%2Fb?c=d&c=e');
    expect(request.headers.host).toBe('cart.shop');
    expect(request.headersDistinct['x-twice']).toEqual(['1', '2']);
  });

  it('tells the app who called, and nobody else can', async () => {
    let seen: http.IncomingHttpHeaders = {};
    const pair = await pairFor((request, response) => {
      seen = request.headers;
      response.end();
    });
    await call({
      port: port(pair),
      headers: {
        'tsmesh-client-identity': 'spiffe://cluster.local/ns/shop/sa/root',
        'x-forwarded-client-cert': 'forged',
        'tsmesh-app-protocol': 'http2',
        'x-request-id': 'mine',
      },
    });
    const caller = 'spiffe://cluster.local/ns/shop/sa/caller';
    expect(seen['tsmesh-client-identity']).toBe(caller);
    expect(seen['x-forwarded-client-cert']).toContain(`URI=${caller}`);
    expect(seen['x-forwarded-client-cert']).not.toContain('forged');
    expect(seen['tsmesh-app-protocol']).toBeUndefined();
    expect(seen['x-request-id']).toBe('mine');
    await call({ port: port(pair) });
    expect(seen['x-request-id']).toMatch(/^caller-/);
  });

  it('carries large bodies both ways at once, unchanged, over one connection between sidecars', async () => {
    const pair = await pairFor((request, response) => request.pipe(response));
    const bodies = Array.from({ length: 8 }, () => randomBytes(3_000_000));
    const answers = await Promise.all(
      bodies.map((body) => call({ port: port(pair), method: 'POST', body })),
    );
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(answers.map(({ body }) => digest(body))).toEqual(bodies.map(digest));
    expect(pair.callee.inbound.connections()).toBe(1);
  });

  it('uses connections again, towards the app and between the sidecars', async () => {
    const pair = await pairFor(ok);
    let connections = 0;
    pair.app.on('connection', () => (connections += 1));
    for (let i = 0; i < 20; i += 1) await call({ port: port(pair) });
    expect([connections, pair.callee.inbound.connections()]).toEqual([1, 1]);
  });

  it('counts and logs on both sides', async () => {
    const pair = await pairFor(ok);
    await call({ port: port(pair), path: '/x?secret' });
    await until('both logged', () => pair.caller.log.length + pair.callee.log.length === 2);
    expect(pair.caller.counters.totals('outbound')).toMatchObject({
      requests: 1,
      mtlsRequests: 1,
      failures: 0,
    });
    expect(pair.callee.counters.totals('inbound')).toMatchObject({ requests: 1, mtlsRequests: 1 });
    expect(pair.callee.log[0]).toMatchObject({
      path: '/x',
      status: 200,
      peer: 'spiffe://cluster.local/ns/shop/sa/caller',
      requestId: pair.caller.log[0]!.requestId,
    });
    expect(pair.caller.outbound.inFlight() + pair.callee.inbound.inFlight()).toBe(0);
  });

  it.each([
    {
      what: 'no HTTP',
      sent: 'GET / HTTP/1.1\r\nhost: a\r\nx y: 1\r\n\r\n',
      status: 400,
      flag: 'BR',
    },
    {
      what: 'too long',
      sent: `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(200_000)}\r\n\r\n`,
      status: 431,
      flag: 'HL',
    },
    {
      what: 'in a coding that nobody knows',
      sent: 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n',
      status: 501,
      flag: 'UP',
    },
  ])('counts and logs a request that is $what', async ({ sent, status, flag }) => {
    const pair = await pairFor(ok);
    const socket = net.connect(port(pair), '127.0.0.1');
    closers.push(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.write(sent);
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ status, flag, path: '', attempts: 0 });
    expect(pair.caller.log[0]!.detail).toMatch(/RFC|head/);
    expect(pair.caller.counters.totals('outbound')).toMatchObject({ requests: 1 });
  });

  it('counts and logs HTTP/2 that breaks the rules', async () => {
    const pair = await pairFor(ok);
    const socket = net.connect(port(pair), '127.0.0.1');
    closers.push(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    // DATA where SETTINGS must come.
    socket.write(Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 1]));
    await until('logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ status: 0, flag: 'BR' });
    expect(pair.caller.counters.totals('outbound')).toMatchObject({ requests: 0 });
  });

  it('carries trailers and chunked bodies', async () => {
    const pair = await pairFor((request, response) => {
      request.resume();
      request.on('end', () => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('part');
        response.addTrailers({ 'x-sum': request.trailers['x-in'] ?? 'none' });
        response.end();
      });
    });
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request({ port: port(pair), host: '127.0.0.1', method: 'POST' });
      request.setHeader('trailer', 'x-in');
      request.write('a');
      request.addTrailers({ 'x-in': '42' });
      request.on('error', reject);
      request.on('response', (response) => {
        response.resume();
        response.on('end', () => resolve(response));
      });
      request.end();
    });
    expect(answer.trailers).toEqual({ 'x-sum': '42' });
  });

  it('carries an upgraded connection', async () => {
    const pair = await pairFor(ok);
    pair.app.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${request.headers.upgrade}\r\nconnection: upgrade\r\n\r\nhello`,
      );
      socket.on('data', (chunk) => void socket.write(chunk.toString().toUpperCase()));
      socket.on('end', () => socket.end());
      socket.on('error', () => undefined);
    });
    const request = http.request({
      port: port(pair),
      host: '127.0.0.1',
      headers: { connection: 'upgrade', upgrade: 'echo' },
    });
    request.end();
    const text = await new Promise<string>((resolve, reject) => {
      request.on('error', reject);
      request.on('upgrade', (response, socket, head) => {
        let received = head.toString();
        socket.on('error', () => undefined);
        socket.on('data', (chunk: Buffer) => {
          received += chunk.toString();
          if (received.includes('ABC')) {
            socket.end();
            resolve(`${response.statusCode} ${received}`);
          }
        });
        socket.write('abc');
      });
    });
    expect(text).toBe('101 helloABC');
  });
});

describe('policy of a route', () => {
  it('answers 504 naming the route and its time', async () => {
    const pair = await pairFor(() => undefined);
    pair.route({ routes: [route({ name: 'TrafficPolicy shop/app, route 0', timeoutMs: 60 })] });
    const startedMs = performance.now();
    const answer = await call({ port: port(pair) });
    expect(answer.status).toBe(504);
    expect(answer.body.toString()).toContain('TrafficPolicy shop/app, route 0: 60 ms');
    expect(performance.now() - startedMs).toBeLessThan(1000);
    await until(
      'the request is over at the callee too',
      () => pair.callee.inbound.inFlight() === 0,
    );
  });

  it('tries again what answers 5xx, as often as it says, with the body', async () => {
    const bodies: string[] = [];
    const pair = await pairFor((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        bodies.push(body);
        response.statusCode = bodies.length < 3 ? 503 : 200;
        response.end(String(bodies.length));
      });
    });
    pair.route({ routes: [route({ retry: retry({ on: ['5xx'] }) })] });
    const answer = await call({ port: port(pair), method: 'POST', body: 'payload' });
    expect([answer.status, answer.body.toString()]).toEqual([200, '3']);
    expect(bodies).toEqual(['payload', 'payload', 'payload']);
  });

  it('passes the last failure on when its attempts are used up', async () => {
    let count = 0;
    const pair = await pairFor((_, response) => {
      count += 1;
      response.statusCode = 503;
      response.end(`failure ${count}`);
    });
    pair.route({ routes: [route({ retry: retry({ on: ['5xx'], attempts: 1 }) })] });
    const answer = await call({ port: port(pair) });
    expect([answer.status, answer.body.toString(), count]).toEqual([503, 'failure 2', 2]);
  });

  it('does not try again without having been asked to', async () => {
    let count = 0;
    const pair = await pairFor((request) => {
      count += 1;
      request.socket.destroy();
    });
    const answer = await call({ port: port(pair), method: 'POST', body: 'x' });
    expect([answer.status, count]).toEqual([502, 1]);
  });

  it('limits the time per attempt', async () => {
    let count = 0;
    const pair = await pairFor((_, response) => {
      count += 1;
      if (count > 1) response.end('second');
    });
    const policy = retry({ on: ['reset'], perTryTimeoutMs: 50 });
    pair.route({ routes: [route({ retry: policy })] });
    expect((await call({ port: port(pair) })).body.toString()).toBe('second');
  });

  it('says which attempt time it was when none was answered', async () => {
    const pair = await pairFor(() => undefined);
    const policy = retry({ on: ['reset'], perTryTimeoutMs: 30, attempts: 1 });
    pair.route({ routes: [route({ name: 'the route', retry: policy })] });
    const answer = await call({ port: port(pair) });
    expect(answer.status).toBe(504);
    expect(answer.body.toString()).toContain('the route: 30 ms');
  });

  it('sets and rewrites, redirects, and says when nothing matches', async () => {
    const pair = await pairFor((request, response) => {
      response.end(`${request.url} ${String(request.headers['x-set'])}`);
    });
    pair.route({
      routes: [
        route({
          matches: [{ path: { prefix: '/old' } }],
          rewrite: { path: { prefix: '/new' }, host: null },
          requestHeaders: { set: [{ name: 'x-set', value: 'yes' }], add: [], remove: [] },
          responseHeaders: { set: [], add: [{ name: 'x-added', value: '1' }], remove: ['date'] },
        }),
        route({
          matches: [{ path: { exact: '/moved' } }],
          backends: [],
          redirect: { scheme: null, host: 'there', port: null, path: null, status: 307 },
        }),
        route({ name: 'empty', matches: [{ path: { exact: '/none' } }], backends: [] }),
      ],
    });
    const rewritten = await call({ port: port(pair), path: '/old/x?y' });
    expect(rewritten.body.toString()).toBe('/new/x?y yes');
    expect(rewritten.headers['x-added']).toBe('1');
    expect(rewritten.headers.date).toBeUndefined();
    const moved = await call({ port: port(pair), path: '/moved', headers: { host: 'here' } });
    expect([moved.status, moved.headers.location]).toEqual([307, 'http://there/moved']);
    expect((await call({ port: port(pair), path: '/none' })).status).toBe(500);
    const nowhere = await call({ port: port(pair), path: '/' });
    expect([nowhere.status, nowhere.headers['tsmesh-error']]).toEqual([404, 'no-route']);
  });

  it('is obeyed by the very next request on an open connection', async () => {
    const pair = await pairFor(ok);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    expect((await call({ port: port(pair), agent })).status).toBe(200);
    pair.route({ routes: [route({ matches: [{ path: { exact: '/never' } }] })] });
    expect((await call({ port: port(pair), agent })).status).toBe(404);
  });
});

function retry(over: object) {
  return {
    attempts: 2,
    on: [],
    perTryTimeoutMs: null,
    backoffMs: 1,
    maxBackoffMs: 10,
    budgetPercent: 20,
    budgetMinConcurrent: 3,
    ...over,
  } as never;
}

describe('failures', () => {
  it('takes another endpoint where one cannot be reached', async () => {
    const pair = await pairFor(ok);
    const dead = net.createServer();
    const gone = await listenOn(dead);
    await new Promise((resolve) => dead.close(resolve));
    const identity = pair.callee.identity.current()!.spiffeId;
    pair.route({}, endpoints([gone, pair.callee.inbound.address], identity));
    for (let i = 0; i < 10; i += 1) expect((await call({ port: port(pair) })).status).toBe(200);
  });

  it('says that an endpoint cannot be reached, and which', async () => {
    const pair = await pairFor(ok);
    const identity = pair.callee.identity.current()!.spiffeId;
    pair.route({}, endpoints({ address: '127.0.0.1', port: 1, family: 'IPv4' }, identity));
    const answer = await call({ port: port(pair) });
    expect([answer.status, answer.headers['tsmesh-error']]).toEqual([503, 'connect-failed']);
    expect(answer.body.toString()).toContain('127.0.0.1 port 1');
  });

  it('says that there is no endpoint', async () => {
    const pair = await pairFor(ok);
    pair.route({}, endpoints([], null));
    expect((await call({ port: port(pair) })).headers['tsmesh-error']).toBe('no-endpoints');
  });

  it('refuses a peer that proves another identity than the one expected', async () => {
    const pair = await pairFor(ok);
    const other = 'spiffe://cluster.local/ns/shop/sa/other';
    pair.route({}, endpoints(pair.callee.inbound.address, other));
    const answer = await call({ port: port(pair) });
    expect([answer.status, answer.headers['tsmesh-error']]).toEqual([503, 'identity-mismatch']);
    expect(answer.body.toString()).toContain('sa/callee');
  });

  it.each(['http1', 'tcp'] as const)(
    'counts and logs a peer that is not who it should be although another endpoint answers (%s)',
    async (protocol) => {
      const pair = await pairFor(ok);
      const at = pair.callee.inbound.address;
      const known = pair.callee.identity.current()!.spiffeId;
      const wrong = 'spiffe://cluster.local/ns/shop/sa/other';
      const both = endpoints([at, at], known) as EndpointsResource;
      both.endpoints[0]!.identity = wrong;
      pair.route({ protocol }, both);
      pair.callee.apply(workload({ mtls: 'STRICT', protocol }));
      // Of two, either is the first as often: that none of these begins with the wrong one is one chance in 2^20.
      const calls = Array.from({ length: 20 }, () => call({ port: port(pair), agent: false }));
      const statuses = (await Promise.all(calls)).map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([200]));
      const told = pair.caller.log.filter(({ flag }) => flag === 'UID');
      expect(told[0]?.detail).toContain(`is ${known}, expected was ${wrong}`);
      const [counted] = pair.caller.counters.snapshot('outbound');
      expect(counted!.errors.get('UID')).toBe(told.length);
    },
  );

  it('logs a body whose framing breaks as a bad request, not as a client that went away', async () => {
    const pair = await pairFor((request) => void request.resume());
    const socket = net.connect(port(pair), '127.0.0.1');
    closers.push(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n');
    await until('the callee has it', () => pair.callee.inbound.inFlight() === 1);
    socket.write('no chunk\r\n');
    await until('it is logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'BR', method: 'POST', status: 0 });
  });

  it('refuses a peer under a foreign root', async () => {
    const pair = await pairFor(ok);
    const { testAuthority } = await import('../../test/support/identities.ts');
    pair.caller.identity.swap(testAuthority()('caller'));
    const answer = await call({ port: port(pair) });
    expect([answer.status, answer.headers['tsmesh-error']]).toEqual([503, 'tls-handshake-failed']);
  });

  it('says at the callee that the app is not there', async () => {
    const pair = await pairFor(ok);
    pair.callee.target.inbound = { address: '127.0.0.1', port: 1 };
    const answer = await call({ port: port(pair) });
    expect([answer.status, answer.headers['tsmesh-error']]).toEqual([503, 'app-unreachable']);
  });

  it('lets the app see that its client went away', async () => {
    let aborted = false;
    let began = false;
    const pair = await pairFor((request, response) => {
      began = true;
      response.write('first');
      request.on('close', () => (aborted = true));
    });
    const request = http.get({ port: port(pair), host: '127.0.0.1' });
    request.on('error', () => undefined);
    await until('the request is at the app', () => began);
    request.destroy();
    await until('the app saw the abort', () => aborted);
    await until('nothing is left in flight', () => pair.callee.inbound.inFlight() === 0);
    expect(pair.caller.log.at(-1)?.flag).toBe('CC');
  });

  it('lets the client see that an answer broke off', async () => {
    const pair = await pairFor((_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half');
      setImmediate(() => response.socket?.destroy());
    });
    await expect(call({ port: port(pair) })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(pair.caller.log.at(-1)).toMatchObject({ status: 0, flag: 'UC' });
  });

  it('loses nothing to an app that closes idle connections', async () => {
    const pair = await pairFor(ok);
    pair.app.keepAliveTimeout = 1;
    for (let i = 0; i < 30; i += 1) {
      expect((await call({ port: port(pair) })).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, i % 4));
    }
  });

  it('slows the app down for a client that does not read', async () => {
    let written = 0;
    const pair = await pairFor((_, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        let room = true;
        while (room) {
          room = response.write(chunk);
          written += chunk.length;
        }
      };
      response.on('drain', more);
      more();
    });
    const socket = net.connect(port(pair), '127.0.0.1');
    closers.push(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    let before = -1;
    await until('the app is stopped', () => {
      const stopped = written > 0 && written === before;
      before = written;
      return stopped;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(written).toBeLessThan(32 * 1024 * 1024);
  });
});

describe('certificates and draining', () => {
  it('sends new requests over a connection made with the certificate in force, and loses none', async () => {
    const pair = await pairFor((_, response) => void setTimeout(() => response.end('ok'), 5));
    let stop = false;
    const statuses: number[] = [];
    const load = async () => {
      while (!stop) statuses.push((await call({ port: port(pair) })).status);
    };
    const running = [load(), load(), load(), load()];
    for (let i = 0; i < 3; i += 1) {
      await until('requests ran', () => statuses.length > (i + 1) * 20);
      pair.caller.identity.swap(pair.issue('caller'));
      pair.callee.identity.swap(pair.issue('callee'));
    }
    await until('requests ran', () => statuses.length > 100);
    stop = true;
    await Promise.all(running);
    expect(new Set(statuses)).toEqual(new Set([200]));
    await until('old connections ended', () => pair.callee.inbound.connections() === 1);
  });

  it('finishes what is in flight while draining, and turns peers away without a loss', async () => {
    const waiting: http.ServerResponse[] = [];
    const pair = await pairFor((_, response) => void waiting.push(response));
    const first = call({ port: port(pair) });
    await until('the request is at the app', () => waiting.length === 1);
    expect(pair.callee.inbound.inFlight()).toBe(1);
    pair.callee.inbound.drain();
    const second = call({ port: port(pair) });
    await until('the second came through too', () => waiting.length === 2);
    for (const response of waiting) response.end('late');
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(200);
    await until('nothing is in flight', () => pair.callee.inbound.inFlight() === 0);
    await until('connections ended', () => pair.callee.inbound.connections() === 0);
  });
});

describe('a pod that leaves under load', () => {
  it.each(['GET', 'POST'])(
    'loses no %s request, although callers hear of it late',
    async (method) => {
      const slow: http.RequestListener = (request, response) => {
        request.resume();
        request.on('end', () => setTimeout(() => response.end('ok'), 3));
      };
      const stays = await pairFor(slow);
      const leaves = await pairFor(slow);
      leaves.callee.identity.swap(stays.issue('callee'));
      const identity = stays.callee.identity.current()!.spiffeId;
      const both = [stays.callee.inbound.address, leaves.callee.inbound.address];
      stays.route({}, endpoints(both, identity));
      let stop = false;
      const answers: string[] = [];
      const load = async () => {
        while (!stop) {
          const body = method === 'POST' ? 'body' : undefined;
          const { status, body: text } = await call({
            port: port(stays),
            method,
            body: body ?? '',
          });
          answers.push(status === 200 ? 'ok' : `${status} ${text.toString()}`);
        }
      };
      const running = Array.from({ length: 8 }, load);
      const { inbound } = leaves.callee;
      await until('both serve', () => leaves.callee.counters.totals('inbound').requests > 20);
      inbound.drain();
      await until('a moment without requests', () => inbound.inFlight() === 0);
      inbound.refuseNew();
      leaves.app.close();
      leaves.app.closeAllConnections();
      let before = answers.length;
      await until('more requests ran', () => answers.length > before + 100);
      await inbound.close(2000);
      before = answers.length;
      await until('more requests ran', () => answers.length > before + 100);
      stays.route({}, endpoints(stays.callee.inbound.address, identity));
      before = answers.length;
      await until('more requests ran', () => answers.length > before + 50);
      stop = true;
      await Promise.all(running);
      expect(new Set(answers)).toEqual(new Set(['ok']));
    },
  );
});

describe('what is not in the mesh', () => {
  it('refuses plaintext under STRICT in words, and admits it under PERMISSIVE on the same connection', async () => {
    const pair = await pairFor(ok);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    const direct = { port: pair.callee.inbound.address.port, agent };
    pair.callee.apply(workload({ mtls: 'STRICT', decidedBy: 'PeerAuthentication shop/strict' }));
    const refused = await call({ ...direct, headers: { 'x-request-id': 'of-the-caller' } });
    expect([refused.status, refused.headers['tsmesh-denied-by']]).toEqual([
      403,
      'PeerAuthentication shop/strict; reason=mtls-required',
    ]);
    expect(refused.body.toString()).toContain('PeerAuthentication shop/strict');
    const of = { peer: '', peerAddress: '127.0.0.1', requestId: 'of-the-caller', flag: 'MR' };
    expect(pair.callee.log.at(-1)).toMatchObject(of);
    pair.callee.apply(workload({ mtls: 'PERMISSIVE' }));
    expect((await call(direct)).status).toBe(200);
    expect(pair.callee.counters.totals('inbound')).toMatchObject({ denied: 1, mtlsRequests: 0 });
  });

  it('speaks plaintext to endpoints without a sidecar', async () => {
    const pair = await pairFor(ok);
    pair.route({}, endpoints(pair.app.address() as net.AddressInfo, null));
    expect((await call({ port: port(pair) })).status).toBe(200);
    expect(pair.caller.counters.totals('outbound')).toMatchObject({ requests: 1, mtlsRequests: 0 });
  });

  it('holds a connection to an unknown destination until the operator answers', async () => {
    const pair = await pairFor(ok);
    pair.caller.store.forget(['10.96.0.7:80']);
    const answer = call({ port: port(pair) });
    await until('it was asked for', () => pair.caller.wanted.includes('10.96.0.7:80'));
    const identity = pair.callee.identity.current()!.spiffeId;
    pair.route({}, endpoints(pair.callee.inbound.address, identity));
    expect((await answer).status).toBe(200);
  });

  it('carries what is external as it is, and refuses it in words where only the registry is allowed', async () => {
    const pair = await pairFor(ok);
    const app = pair.app.address() as net.AddressInfo;
    pair.caller.target.outbound = { address: app.address, port: app.port };
    const external = {
      name: `127.0.0.1:${app.port}`,
      kind: 'external',
      host: 'example.org',
    } as const;
    pair.route({ ...external, routes: [], tcp: [] });
    expect((await call({ port: port(pair) })).body.toString()).toBe('ok');
    pair.caller.apply({
      ...workload(),
      outbound: { policy: 'RegistryOnly', whenDisconnected: 'refuse' },
    });
    const refused = await call({ port: port(pair), agent: false });
    expect([refused.status, refused.headers['tsmesh-denied-by']]).toEqual([
      502,
      'Mesh default; reason=registry-only',
    ]);
  });

  it('never connects to its own ports', async () => {
    const pair = await pairFor(ok);
    pair.caller.target.outbound = { ...service, port: 15006 };
    await expect(call({ port: port(pair) })).rejects.toMatchObject({ code: 'ECONNRESET' });
    pair.caller.target.outbound = null;
    await expect(call({ port: port(pair) })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(pair.caller.log.map((entry) => entry.flag)).toEqual(['OP', 'ND']);
  });
});
