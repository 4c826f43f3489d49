// What an undeclared port speaks is found out at either capture port, with mutual TLS behind it and in plaintext:
// silent clients, slow ones, servers that speak first, TLS of the app's own.

import net from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { testAuthority } from '../support/identities.ts';
import { listenOn, until } from '../support/mesh-pair.ts';
import { openPath, paths, type OpenPath } from './semantics-paths.ts';
import { Wire } from './semantics-peers.ts';

let path: OpenPath;
let accepted: Wire[];
/** What the app does with a connection. */
let serve: (wire: Wire) => void;
const closers: (() => void)[] = [];

const open = () => path.open();

const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const answerHttp = (wire: Wire): void => {
  wire.socket.on('data', () => {
    if (wire.text.endsWith('\r\n\r\n')) wire.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
};

/** As the sidecars count: HTTP requests, and connections carried as they are. */
function counted(): [number, number][] {
  return path.sidecars.map(({ counters }, i) => {
    const outbound =
      path.sidecars.length === 2 ? i === 0 : path.entry === path.sidecars[0]!.outbound;
    const { requests, connections } = counters.totals(outbound ? 'outbound' : 'inbound');
    return [requests, connections];
  });
}

const each = (one: [number, number]) => path.sidecars.map(() => one);

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe.each(paths)('an undeclared port, %s', (way) => {
  beforeEach(async () => {
    accepted = [];
    serve = () => undefined;
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      const wire = new Wire(socket);
      accepted.push(wire);
      closers.push(() => socket.destroy());
      serve(wire);
    });
    path = await openPath(way, await listenOn(server));
    closers.push(() => {
      path.close();
      server.close();
    });
  });

  it.each(['G', 'P', '\x16', '\0', 'GET / HT'])(
    'carries %j and nothing more as it is',
    async (text) => {
      const client = open();
      client.send(text);
      await until('the app got it', () => {
        // What may become the ClientHello of a mesh peer is given its time.
        if (path.entry === path.sidecars[0]!.inbound) path.sidecars[0]!.advance(100);
        return accepted[0]?.text === text;
      });
      accepted[0]!.send('seen');
      await client.has('seen');
      expect(counted()).toEqual(each([0, 1]));
    },
  );

  it('connects the app of a client that never sends, and lets it see that it leaves', async () => {
    const client = open();
    await until('the app is connected', () => accepted.length === 1);
    client.socket.resetAndDestroy();
    await until('the app saw it', () => accepted[0]!.error !== null || accepted[0]!.ended);
    await until('nothing is left', () => path.entry.connections() === 0);
  });

  it('lets a server speak first', async () => {
    serve = (wire) => wire.send('220 ready\r\n');
    const client = open();
    await client.has('220 ready');
    client.send('QUIT\r\n');
    await until('the app got it', () => accepted[0]!.text === 'QUIT\r\n');
    expect(counted()).toEqual(each([0, 1]));
  });

  it('takes HTTP after a silence for HTTP', async () => {
    serve = answerHttp;
    const client = open();
    await until('the app is connected', () => accepted.length === 1);
    client.send(get);
    expect((await client.message()).body).toBe('ok');
    expect(counted()[0]).toEqual([1, 0]);
    await until('the unused tunnel is closed', () => accepted[0]!.closed);
    expect(accepted[0]!.text).toBe('');
  });

  it('takes HTTP in single bytes for HTTP', async () => {
    serve = answerHttp;
    const client = open();
    client.socket.setNoDelay();
    for (const letter of get) {
      client.send(letter);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    expect((await client.message()).body).toBe('ok');
    expect(counted()[0]).toEqual([1, 0]);
  });

  it.each([
    ['words that are no request', 'HELO example\r\n'],
    ['bytes', '\x00\x01\x02\xff'],
    ['a Redis command', '*1\r\n$4\r\nPING\r\n'],
    ['a request line without a version', 'GET key\r\n'],
  ])('carries %s as they are, at once', async (_, text) => {
    const client = open();
    client.send(text);
    await until('the app got it', () => accepted[0]?.text === text);
    expect(counted()).toEqual(each([0, 1]));
  });

  it('carries one byte and a FIN, and what comes back', async () => {
    serve = (wire) => wire.socket.on('end', () => wire.socket.end('bye'));
    const client = open();
    client.socket.end('x');
    await client.end();
    expect([client.text, accepted[0]!.text]).toEqual(['bye', 'x']);
  });

  it('lets TLS of the app through', async () => {
    const { secureContext } = testAuthority()('app');
    serve = ({ socket }) => {
      socket.removeAllListeners('data');
      const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
      secure.on('data', (chunk: Buffer) => void secure.write(chunk));
      secure.on('error', () => undefined);
    };
    const { port } = path;
    const secure = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    closers.push(() => secure.destroy());
    secure.on('error', () => undefined);
    secure.write('through');
    const answer = await new Promise<Buffer>((resolve) => secure.once('data', resolve));
    expect(answer.toString()).toBe('through');
    expect(counted()).toEqual(each([0, 1]));
  });
});
