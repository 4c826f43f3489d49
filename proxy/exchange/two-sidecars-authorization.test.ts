// AuthorizationPolicies at the called pod's sidecar, for HTTP: what its caller, its app, both logs and both
// counts see. Opaque connections are two-sidecars-authorization-tcp.

import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { callerIdentity, guarded, policy } from '../../test/support/authorization.ts';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import type { TestSidecar } from '../../test/support/sidecar.ts';
import { workload } from '../../test/support/sidecar.ts';
import type { Direction } from '../telemetry/counters.ts';
import { readDecisionKey } from '../telemetry/recorder.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Pair = MeshPair & { seen: http.IncomingMessage[]; app: http.Server };

async function pairFor(handler: http.RequestListener = (_, answer) => answer.end('ok')) {
  const seen: http.IncomingMessage[] = [];
  const app = http.createServer((request, response) => {
    seen.push(request);
    handler(request, response);
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    app.closeAllConnections();
  });
  return { ...pair, seen, app } satisfies Pair;
}

const viaMesh = (pair: MeshPair) => pair.caller.outbound.address.port;
const direct = (pair: MeshPair) => pair.callee.inbound.address.port;

function decisions(sidecar: TestSidecar, direction: Direction) {
  return sidecar.counters
    .snapshot(direction)
    .flatMap((one) => [...one.decisions])
    .map(([key, count]) => ({ ...readDecisionKey(key), count }));
}

const caller = { from: [{ identities: [callerIdentity] }] };
const anybody = { from: [{ identities: ['*'] }] };
const onlyGet = policy('ALLOW', [{ name: 'reading', ...caller, to: [{ methods: ['GET'] }] }]);
const noAdmin = policy('DENY', [{ name: 'no admin', to: [{ paths: [{ prefix: '/admin' }] }] }]);

describe('an AuthorizationPolicy', () => {
  it('lets in what an ALLOW rule names, and refuses the rest in words', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([onlyGet]));
    expect((await call({ port: viaMesh(pair) })).status).toBe(200);
    const refused = await call({ port: viaMesh(pair), method: 'POST', body: 'x' });
    expect(refused.status).toBe(403);
    const words = refused.body.toString();
    expect(words).toContain('AuthorizationPolicy shop/allow');
    expect(words).toContain(
      '(no-allow-rule); the caller is spiffe://cluster.local/ns/shop/sa/caller',
    );
    expect(refused.headers).toMatchObject({
      'tsmesh-denied-by': 'AuthorizationPolicy shop/allow; reason=no-allow-rule',
      'tsmesh-error': 'policy-denied',
    });
    expect(pair.seen.map(({ method }) => method)).toEqual(['GET']);
  });

  it('refuses what a DENY rule names although an ALLOW rule would let it in', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([noAdmin, policy('ALLOW', [anybody])]));
    expect((await call({ port: viaMesh(pair), path: '/cart' })).status).toBe(200);
    const { status, headers, body } = await call({ port: viaMesh(pair), path: '/admin/x' });
    expect([status, headers['tsmesh-denied-by']]).toEqual([
      403,
      'AuthorizationPolicy shop/deny; rule=no admin; reason=deny-rule',
    ]);
    expect(body.toString()).toContain('AuthorizationPolicy shop/deny, no admin (deny-rule)');
  });

  it('is named with rule and caller in the logs and counts of both sidecars', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([noAdmin]));
    await call({ port: viaMesh(pair), path: '/admin' });
    const by = { policy: 'AuthorizationPolicy shop/deny', rule: 'no admin', reason: 'deny-rule' };
    await until('both have logged', () => pair.callee.log.length + pair.caller.log.length === 2);
    expect(pair.callee.log[0]).toMatchObject({
      ...by,
      flag: 'PD',
      status: 403,
      peer: 'spiffe://cluster.local/ns/shop/sa/caller',
    });
    expect(pair.caller.log[0]).toMatchObject({ ...by, flag: 'PP', status: 403 });
    const counted = [{ kind: 'denied', ...by, count: 1 }];
    expect(decisions(pair.callee, 'inbound')).toEqual(counted);
    expect(decisions(pair.caller, 'outbound')).toEqual(counted);
    expect(pair.callee.counters.totals('inbound').denied).toBe(1);
    expect(pair.caller.counters.totals('outbound').denied).toBe(0);
  });

  it('judges callers without an identity, on HTTP/1.1 and HTTP/2', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([policy('ALLOW', [anybody])], { mtls: 'PERMISSIVE' }));
    const refused = await call({ port: direct(pair) });
    expect(refused.status).toBe(403);
    expect(refused.body.toString()).toContain('the caller is 127.0.0.1 without an identity');
    const session = http2.connect(`http://127.0.0.1:${direct(pair)}`);
    closers.push(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    const status = await new Promise((resolve) =>
      stream.on('response', (headers) => resolve(headers[':status'])),
    );
    expect(status).toBe(403);
    expect(pair.seen).toEqual([]);
  });

  it('refuses a path that apps may read differently where the Mesh says so, and names it', async () => {
    const pair = await pairFor();
    pair.callee.apply(guarded([noAdmin], {}, 'refuse'));
    const refused = await call({ port: viaMesh(pair), path: '/a/..%2fadmin?q=secret' });
    expect([refused.status, refused.headers['tsmesh-error']]).toEqual([400, 'ambiguous-path']);
    const words = refused.body.toString();
    expect(words).toContain('"/a/..%2fadmin" (Mesh default, authorization.ambiguousPaths: Refuse)');
    expect(words).not.toContain('secret');
    await until('the caller has logged', () => pair.caller.log.length === 1);
    expect(pair.caller.log[0]).toMatchObject({ flag: 'PP', reason: 'ambiguous-path' });
  });

  it('that audits or is on trial is logged and counted and changes nothing', async () => {
    const pair = await pairFor();
    const audit = policy('AUDIT', [{ name: 'all' }]);
    const trial = policy('DENY', [{ name: 'trial' }], true);
    pair.callee.apply(guarded([audit, trial]));
    expect((await call({ port: viaMesh(pair), path: '/x?y' })).status).toBe(200);
    const remarks = decisions(pair.callee, 'inbound').map(({ kind, rule }) => [kind, rule]);
    expect(new Set(remarks)).toEqual(
      new Set([
        ['audit', 'all'],
        ['would-deny', 'trial'],
      ]),
    );
    const lines = pair.callee.log.filter(({ reason }) => reason !== undefined);
    expect(lines.map(({ flag, rule, path }) => [flag, rule, path])).toEqual(
      expect.arrayContaining([
        ['AU', 'all', '/x'],
        ['WD', 'trial', '/x'],
      ]),
    );
    expect(pair.callee.counters.totals('inbound').denied).toBe(0);
  });

  it('judges an upgrade by its head', async () => {
    const pair = await pairFor();
    const sockets: net.Socket[] = [];
    closers.push(() => sockets.forEach((socket) => socket.destroy()));
    pair.app.on('upgrade', (_, socket: net.Socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
    });
    pair.callee.apply(guarded([noAdmin]));
    const refused = await call({
      port: viaMesh(pair),
      path: '/admin',
      headers: { connection: 'upgrade', upgrade: 'x' },
    });
    expect(refused.status).toBe(403);
    expect(sockets).toEqual([]);
    const upgraded = upgrade(viaMesh(pair), '/chat');
    await until('it is open', () => sockets.length === 1);
    pair.callee.apply(guarded([noAdmin, policy('ALLOW', [{ to: [{ methods: ['PUT'] }] }])]));
    await until('it was ended', () => upgraded.ended);
    await until('the app lost it', () => sockets[0]!.destroyed);
    expect(pair.callee.log.at(-1)).toMatchObject({ reason: 'no-allow-rule', path: '/chat' });
  });
});

describe('CONNECT', () => {
  it('is judged by its head, and its tunnel is not opened where a rule denies it', async () => {
    const pair = await pairFor();
    let opened = 0;
    pair.app.on('connect', (_, socket: net.Socket) => {
      opened += 1;
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
    });
    const connect = () =>
      new Promise<number>((resolve, reject) => {
        const request = http.request({
          host: '127.0.0.1',
          port: direct(pair),
          method: 'CONNECT',
          path: 'db:1',
        });
        request.on('connect', (answer, socket) => {
          socket.destroy();
          resolve(answer.statusCode ?? 0);
        });
        request.on('error', reject);
        request.end();
      });
    const noConnect = policy('DENY', [{ to: [{ methods: ['CONNECT'] }] }]);
    pair.callee.apply(guarded([noConnect], { mtls: 'PERMISSIVE' }));
    expect([await connect(), opened]).toEqual([403, 0]);
    pair.callee.apply(guarded([noAdmin], { mtls: 'PERMISSIVE' }));
    expect([await connect(), opened]).toEqual([200, 1]);
  });
});

function upgrade(port: number, path: string): { ended: boolean } {
  const state = { ended: false };
  const request = http.request({
    host: '127.0.0.1',
    port,
    path,
    headers: { connection: 'upgrade', upgrade: 'x' },
  });
  request.on('error', () => (state.ended = true));
  request.on('upgrade', (_, socket) => {
    closers.push(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => (state.ended = true));
  });
  request.end();
  return state;
}

describe('a request under way', () => {
  const allowAll = guarded([policy('ALLOW', [anybody])]);

  it('is refused in words when the policy changes before it is answered', async () => {
    const pair = await pairFor(() => undefined);
    pair.callee.apply(allowAll);
    const answer = call({ port: viaMesh(pair), path: '/admin' });
    await until('the app has it', () => pair.seen.length === 1);
    pair.callee.apply(guarded([noAdmin]));
    const { status, headers } = await answer;
    expect([status, headers['tsmesh-denied-by']]).toEqual([
      403,
      'AuthorizationPolicy shop/deny; rule=no admin; reason=deny-rule',
    ]);
    await until('the app lost its caller', () => pair.seen[0]!.socket.destroyed);
  });

  it('is reset when its answer has begun, and both sidecars say why', async () => {
    const pair = await pairFor((_, response) => void response.write('begun'));
    pair.callee.apply(allowAll);
    const answer = call({ port: viaMesh(pair), path: '/admin' });
    const failed = answer.then(() => false).catch(() => true);
    await until('the app has it', () => pair.seen.length === 1);
    await until('the answer began', () => pair.callee.inbound.inFlight() === 1);
    pair.callee.apply(guarded([noAdmin]));
    expect(await failed).toBe(true);
    await until('both have logged', () => pair.callee.log.length + pair.caller.log.length === 2);
    expect(pair.callee.log[0]).toMatchObject({ flag: 'PD', rule: 'no admin' });
    expect(pair.caller.log[0]).toMatchObject({ flag: 'PP' });
  });

  it('goes on when the policy still allows it, or something else changed', async () => {
    const answers: http.ServerResponse[] = [];
    const pair = await pairFor((_, response) => void answers.push(response));
    pair.callee.apply(allowAll);
    const answer = call({ port: viaMesh(pair) });
    await until('the app has it', () => answers.length === 1);
    const { authorizer } = pair.callee.store.snapshot().workload!;
    pair.callee.apply({ ...allowAll, statisticsIntervalMs: 2000 });
    expect(pair.callee.store.snapshot().workload!.authorizer).toBe(authorizer);
    pair.callee.apply(guarded([noAdmin]));
    expect(pair.callee.store.snapshot().workload!.authorizer).not.toBe(authorizer);
    pair.callee.advance(50);
    answers[0]!.end('done');
    expect((await answer).body.toString()).toBe('done');
  });

  it('in plaintext ends when the mode becomes STRICT', async () => {
    const pair = await pairFor(() => undefined);
    pair.callee.apply(workload({ mtls: 'PERMISSIVE' }));
    const answer = call({ port: direct(pair) });
    await until('the app has it', () => pair.seen.length === 1);
    pair.callee.apply(workload({ mtls: 'STRICT', decidedBy: 'PeerAuthentication shop/strict' }));
    const { status, headers } = await answer;
    expect([status, headers['tsmesh-denied-by']]).toEqual([
      403,
      'PeerAuthentication shop/strict; reason=mtls-required',
    ]);
  });
});

describe('headers that only sidecars may set', () => {
  const claims = {
    'tsmesh-client-identity': 'spiffe://cluster.local/ns/shop/sa/admin',
    'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/shop/sa/admin',
    'tsmesh-denied-by': 'me',
    'x-kept': 'yes',
  };

  it('are set from the certificate for the app, whatever the caller claims', async () => {
    const pair = await pairFor();
    await call({ port: viaMesh(pair), headers: claims });
    const { hash } = /Hash=(?<hash>[0-9a-f]{64})/.exec(
      pair.seen[0]!.headers['x-forwarded-client-cert'] as string,
    )!.groups!;
    expect(pair.seen[0]!.headers).toMatchObject({
      'x-kept': 'yes',
      'tsmesh-client-identity': 'spiffe://cluster.local/ns/shop/sa/caller',
      'x-forwarded-client-cert': `By=spiffe://cluster.local/ns/shop/sa/callee;Hash=${hash};URI=spiffe://cluster.local/ns/shop/sa/caller`,
    });
    expect(pair.seen[0]!.headers['tsmesh-denied-by']).toBeUndefined();
  });

  it('are taken out of plaintext requests, upgrades and trailers', async () => {
    const pair = await pairFor((request, response) => {
      request.resume().on('end', () => response.end('ok'));
    });
    let upgraded: http.IncomingHttpHeaders = {};
    pair.app.on('upgrade', (request, socket) => {
      upgraded = request.headers;
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
    pair.callee.apply(workload({ mtls: 'PERMISSIVE' }));
    for (const port of [direct(pair), viaMesh(pair)]) {
      const before = pair.seen.length;
      const socket = net.connect(port, '127.0.0.1');
      closers.push(() => socket.destroy());
      socket.write(
        'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-kept\r\ntsmesh-client-identity: me\r\n\r\n' +
          '1\r\na\r\n0\r\ntsmesh-client-identity: me\r\nx-forwarded-client-cert: me\r\nx-kept: yes\r\n\r\n',
      );
      await until('the app has all of it', () => pair.seen[before]?.complete === true);
      const { headers, trailers } = pair.seen[before]!;
      expect(trailers).toEqual({ 'x-kept': 'yes' });
      expect(headers['tsmesh-client-identity']).toBe(
        port === direct(pair) ? undefined : 'spiffe://cluster.local/ns/shop/sa/caller',
      );
    }
    await call({ port: direct(pair), headers: { ...claims, connection: 'upgrade', upgrade: 'x' } });
    expect(Object.keys(upgraded).filter((name) => /^tsmesh|cert/.test(name))).toEqual([]);
    expect(upgraded['x-kept']).toBe('yes');
  });

  it('are taken out of answers, interim heads and trailers of the app', async () => {
    const pair = await pairFor((_, response) => {
      response.writeEarlyHints({ link: '</a>', 'tsmesh-denied-by': 'app' });
      response.writeHead(403, { ...claims, trailer: 'x' });
      response.addTrailers({ 'tsmesh-denied-by': 'app', x: 'yes' });
      response.end('no');
    });
    pair.callee.apply(workload({ mtls: 'PERMISSIVE' }));
    for (const port of [viaMesh(pair), direct(pair)]) {
      const hints: http.InformationEvent[] = [];
      const request = http.request({ host: '127.0.0.1', port, headers: { te: 'trailers' } });
      request.on('information', (info) => hints.push(info));
      const answer = await new Promise<http.IncomingMessage>((resolve) => {
        request.on('response', resolve).end();
      });
      await answer.resume().toArray();
      expect(hints[0]?.headers).toEqual({ link: '</a>' });
      expect(answer.headers).toMatchObject({ 'x-kept': 'yes' });
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('tsmesh-'))).toEqual([]);
      expect(answer.trailers).toEqual({ x: 'yes' });
    }
    expect(decisions(pair.caller, 'outbound')).toEqual([]);
    expect(pair.caller.log[0]).toMatchObject({ status: 403, flag: '' });
  });
});
