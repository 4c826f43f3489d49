// What renewed certificates mean for streams and connections that are open: they go on, take nothing new with them, and
// end with the certificate that opened them, which both sides say.

import http from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { oddCertificate, oddRoot } from '../../test/support/odd-certificates.ts';
import { idOf, identityOf, proofOf } from '../../test/support/odd-mesh.ts';
import { workload } from '../../test/support/sidecar.ts';

const hourMs = 3_600_000;
const root = oddRoot({ notAfterMs: Date.now() + 100 * hourMs });
const closers: (() => void)[] = [];
let pair: MeshPair;
let streams: http.ServerResponse[];
let sockets: net.Socket[];

/** Certificates of both sides that end after so many hours. */
function renew(hours: number): void {
  for (const [name, sidecar] of [
    ['caller', pair.caller],
    ['callee', pair.callee],
  ] as const) {
    const parts = {
      names: [['uri', idOf(name)]],
      notAfterMs: Date.now() + hours * hourMs,
    } as const;
    sidecar.identity.swap(identityOf(proofOf(oddCertificate(parts, root)), root.pem));
  }
}

function passHours(hours: number): void {
  pair.caller.wall.offsetMs = hours * hourMs;
  pair.callee.wall.offsetMs = hours * hourMs;
}

const flags = () => [pair.caller, pair.callee].map(({ log }) => log.map(({ flag }) => flag));

beforeEach(() => {
  streams = [];
  sockets = [];
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe('a stream of HTTP', () => {
  beforeEach(async () => {
    const app = http.createServer((request, response) => {
      if (request.url !== '/stream') return response.end('short');
      streams.push(response);
      response.write('first ');
    });
    pair = await startPair(await listenOn(app));
    renew(1);
    closers.push(
      () => pair.close(),
      () => app.closeAllConnections(),
      () => app.close(),
    );
  });

  function open() {
    const seen = { text: '', over: false };
    const { port } = pair.caller.outbound.address;
    http
      .get({ port, path: '/stream', agent: false }, (response) => {
        response.on('data', (bytes: Buffer) => (seen.text += bytes.toString()));
        response.on('error', () => undefined);
        response.on('close', () => (seen.over = true));
      })
      .on('error', () => undefined);
    return seen;
  }

  it('goes on where it is, what comes new goes where the new certificate is', async () => {
    const seen = open();
    await until('it began', () => seen.text === 'first ');
    expect(pair.caller.pool.size).toBe(1);
    renew(10);
    const { port } = pair.caller.outbound.address;
    expect((await call({ port })).body.toString()).toBe('short');
    expect(pair.caller.pool.size).toBe(2);
    streams[0]!.write('second');
    await until('it went on', () => seen.text === 'first second');
    streams[0]!.end();
    await until('it ended', () => seen.over);
    await until('its connection is gone', () => pair.caller.pool.size === 1);
    expect(flags()).toEqual([
      ['', ''],
      ['', ''],
    ]);
  });

  it('ends with the certificate that opened it, the new ones not', async () => {
    const old = open();
    await until('it began', () => old.text === 'first ');
    renew(10);
    const young = open();
    await until('the other began', () => young.text === 'first ');
    passHours(2);
    await until('it was ended', () => old.over);
    await until('both said so', () => flags().flat().length === 2);
    expect(flags()).toEqual([['CE'], ['CE']]);
    streams[1]!.end('last');
    await until('the other goes on', () => young.over);
    expect(young.text).toBe('first last');
  });
});

describe('an opaque connection', () => {
  beforeEach(async () => {
    const app = net.createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    pair = await startPair(await listenOn(app), workload({ mtls: 'STRICT', protocol: 'tcp' }));
    pair.route({ protocol: 'tcp' });
    renew(1);
    closers.push(
      () => pair.close(),
      () => app.close(),
      () => void sockets.map((socket) => socket.destroy()),
    );
  });

  function open() {
    const { port } = pair.caller.outbound.address;
    const socket = net.connect(port, '127.0.0.1');
    const seen = { socket, text: '', over: false };
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => (seen.text += bytes.toString()));
    socket.on('close', () => (seen.over = true));
    closers.push(() => socket.destroy());
    socket.write('first ');
    return seen;
  }

  it('goes on through a renewal and ends with the certificate that opened it', async () => {
    const old = open();
    await until('it began', () => old.text === 'first ');
    renew(10);
    const young = open();
    await until('the other began', () => young.text === 'first ');
    old.socket.write('second');
    await until('it went on', () => old.text === 'first second');
    passHours(2);
    await until('it was ended', () => old.over);
    await until('both said so', () => flags().flat().length === 2);
    expect(flags()).toEqual([['CE'], ['CE']]);
    young.socket.write('second');
    await until('the other goes on', () => young.text === 'first second');
  });
});
