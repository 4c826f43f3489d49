// A peer reaches the pod and port that its connection went to, and nothing else: whatever its requests name,
// the app behind that port gets them or nobody does, and no port of the sidecar answers.

import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { alpn, ports } from '../../proxy/api/constants.ts';
import type { Identity } from '../../proxy/identity/store.ts';
import { testAuthority } from '../support/identities.ts';
import { listenOn } from '../support/mesh-pair.ts';
import { loopback, startSidecar, workload, type TestSidecar } from '../support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface World {
  sidecar: TestSidecar;
  /** `method target host`, as the app got them. */
  seen: string[];
  /** Connections to a server that nobody was to reach. */
  strayed: () => number;
  elsewhere: string;
  peer: Omit<Identity, 'generation'>;
}

async function world(mtls: 'STRICT' | 'PERMISSIVE' = 'PERMISSIVE'): Promise<World> {
  const seen: string[] = [];
  const note = (request: http.IncomingMessage): void => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`);
  };
  const app = http.createServer((request, response) => {
    note(request);
    response.end('app');
  });
  app.on('connect', (request: http.IncomingMessage, socket: net.Socket) => {
    note(request);
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 405 Not Allowed\r\ncontent-length: 0\r\n\r\n');
  });
  app.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) => {
    note(request);
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  });
  let strays = 0;
  const other = net.createServer((socket) => {
    strays += 1;
    socket.destroy();
  });
  const [appAt, otherAt] = [await listenOn(app), await listenOn(other)];
  const sidecar = await startSidecar();
  const issue = testAuthority();
  sidecar.identity.swap(issue('callee'));
  sidecar.apply(workload({ mtls }));
  sidecar.target.inbound = { address: loopback, port: appAt.port };
  closers.push(() => {
    sidecar.close();
    for (const server of [app, other]) server.close();
    app.closeAllConnections();
  });
  const elsewhere = `${loopback}:${otherAt.port}`;
  return { sidecar, seen, strayed: () => strays, elsewhere, peer: issue('caller') };
}

/** Sends text in plain to the sidecar, and gives all that came back. */
function sendPlain(sidecar: TestSidecar, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(sidecar.inbound.address.port, loopback);
    let back = '';
    socket.on('data', (chunk: Buffer) => {
      back += chunk.toString('latin1');
      socket.end();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(back));
    socket.write(text);
  });
}

/** As a mesh peer with a good certificate. */
function meshSession({ sidecar, peer }: World): http2.ClientHttp2Session {
  const session = http2.connect('http://mesh', {
    createConnection: () => {
      const socket = tls.connect({
        port: sidecar.inbound.address.port,
        host: loopback,
        secureContext: peer.secureContext,
        ALPNProtocols: [alpn.http],
        checkServerIdentity: () => undefined,
      });
      return socket.on('error', () => undefined);
    },
  });
  session.on('error', () => undefined);
  closers.push(() => session.destroy());
  return session;
}

function meshRequest(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders) {
  return new Promise<number>((resolve) => {
    const stream = session.request(headers);
    let status = 0;
    stream.on('response', (head) => (status = head[':status'] ?? 0));
    stream.on('error', () => undefined);
    stream.once('close', () => resolve(status));
    stream.resume().end();
  });
}

describe('a caller in plaintext that names another place', () => {
  it.each([
    ['in absolute-form', (at: string) => `GET http://${at}/x HTTP/1.1\r\nHost: ${at}\r\n`],
    [
      'in absolute-form against Host',
      (at: string) => `GET http://${at}/x HTTP/1.1\r\nHost: app\r\n`,
    ],
    ['in Host', (at: string) => `GET /x HTTP/1.1\r\nHost: ${at}\r\n`],
    ['by CONNECT', (at: string) => `CONNECT ${at} HTTP/1.1\r\nHost: ${at}\r\n`],
    [
      'by an upgrade',
      (at: string) =>
        `GET /x HTTP/1.1\r\nHost: ${at}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n`,
    ],
    [
      'by an upgrade to HTTP/2',
      (at: string) =>
        `GET /x HTTP/1.1\r\nHost: ${at}\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: upgrade, http2-settings\r\n`,
    ],
    [
      'in fields of proxies',
      (at: string) =>
        `GET /x HTTP/1.1\r\nHost: app\r\nX-Forwarded-Host: ${at}\r\nForwarded: host=${at}\r\nX-Envoy-Original-Dst-Host: ${at}\r\n`,
    ],
  ])('%s, does not get there', async (_how, make) => {
    const one = await world();
    const back = await sendPlain(one.sidecar, `${make(one.elsewhere)}\r\n`);
    expect(back).toMatch(/^HTTP\/1\.1 (200|4\d\d)/);
    expect(one.strayed()).toBe(0);
    expect(one.seen.length).toBeLessThanOrEqual(1);
  });
});

describe('a mesh peer that names another place', () => {
  it.each<[string, (at: string) => http2.OutgoingHttpHeaders, boolean]>([
    ['in :authority', (at) => ({ ':path': '/x', ':authority': at }), true],
    ['in Host', (at) => ({ ':path': '/x', ':authority': 'app', host: at }), false],
    ['in :path', (at) => ({ ':path': `http://${at}/x`, ':authority': 'app' }), false],
    ['in :scheme', (at) => ({ ':path': '/x', ':authority': at, ':scheme': 'gopher' }), false],
    ['by CONNECT', (at) => ({ ':method': 'CONNECT', ':authority': at }), false],
    [
      'in absolute-form',
      (at) => ({ ':path': '/x', ':authority': at, 'tsmesh-target-form': 'absolute' }),
      true,
    ],
  ])('%s, reaches the app or nobody', async (_how, make, reaches) => {
    const one = await world('STRICT');
    const status = await meshRequest(meshSession(one), make(one.elsewhere));
    expect(one.strayed()).toBe(0);
    if (reaches) expect([status, one.seen.length]).toEqual([200, 1]);
    else expect(one.seen.length).toBeLessThanOrEqual(1);
  });

  it('by extended CONNECT, reaches the app or nobody', async () => {
    const one = await world('STRICT');
    const session = meshSession(one);
    await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
    const status = await meshRequest(session, {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/x',
      ':authority': one.elsewhere,
    });
    expect(status).toBeGreaterThan(0);
    expect(one.strayed()).toBe(0);
    expect(one.seen).toHaveLength(1);
  });
});

describe('a connection that went to a port of the sidecar itself', () => {
  it.each(Object.entries(ports))('(%s) is closed without a word', async (_name, port) => {
    const one = await world();
    one.sidecar.target.inbound = { address: loopback, port };
    expect(await sendPlain(one.sidecar, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
    expect(await meshRequest(meshSession(one), { ':path': '/', ':authority': 'x' })).toBe(0);
    expect(one.seen).toEqual([]);
  });
});

describe('a connection whose original destination nobody knows', () => {
  it('is closed without a word', async () => {
    const one = await world();
    one.sidecar.target.inbound = null;
    expect(await sendPlain(one.sidecar, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
    expect(one.seen).toEqual([]);
  });
});
