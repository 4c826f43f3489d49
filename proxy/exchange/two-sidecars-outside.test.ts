// What leaves the mesh, through a real sidecar: carried byte for byte, counted by the host that the app claims.
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { issue, newAuthority } from '../../test/support/identity-files.ts';
import { call, listenOn, until } from '../../test/support/mesh-pair.ts';
import { loopback, startSidecar, workload, type TestSidecar } from '../../test/support/sidecar.ts';
import { maxOutside } from '../telemetry/outside.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Outside {
  sidecar: TestSidecar;
  /** Of the sidecar: where the app's connections are redirected to. */
  entry: number;
  place: net.AddressInfo;
  /** All bytes that came to the place, one text for each connection. */
  came: string[];
}

/** A place outside the mesh that answers each connection with `serve`. */
async function outside(serve: (socket: net.Socket) => void): Promise<Outside> {
  const came: string[] = [];
  const server = net.createServer((socket) => {
    const index = came.push('') - 1;
    socket.on('data', (chunk) => (came[index] += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    serve(socket);
  });
  const place = await listenOn(server);
  const sidecar = await startSidecar();
  sidecar.registry.value = 'none';
  sidecar.apply(workload());
  sidecar.target.outbound = { address: place.address, port: place.port };
  closers.push(() => {
    sidecar.close();
    server.close();
  });
  return { sidecar, entry: sidecar.outbound.address.port, place, came };
}

function connectTo(port: number): net.Socket {
  const socket = net.connect(port, loopback);
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  return socket;
}

/** Also by a reset, which `once` takes for a failure. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

function refuseAll(sidecar: TestSidecar): void {
  const outbound = { policy: 'RegistryOnly', whenDisconnected: 'refuse' } as const;
  sidecar.apply({ ...workload(), outbound });
}

/** The ClientHello of Node's own client for this name. */
async function helloFor(servername: string): Promise<Buffer> {
  const server = net.createServer();
  const { port } = await listenOn(server);
  const client = tls.connect({ port, host: loopback, servername, rejectUnauthorized: false });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

describe('what leaves the mesh', () => {
  it('is TLS end to end, counted and logged by its server name', async () => {
    const own = issue(newAuthority(), { serviceAccount: 'x' });
    const context = tls.createSecureContext({ key: own.keyPem, cert: own.chainPem });
    const { sidecar, entry, place } = await outside((socket) => {
      const secure = new tls.TLSSocket(socket, { isServer: true, secureContext: context });
      secure.on('error', () => undefined);
      secure.end('hello');
    });
    const settings = { port: entry, host: loopback, rejectUnauthorized: false };
    const client = tls.connect({ ...settings, servername: 'api.example.com' });
    client.on('error', () => undefined);
    const [said] = (await once(client, 'data')) as [Buffer];
    expect(said.toString()).toBe('hello');
    client.destroy();
    await until('it was logged', () => sidecar.log.length === 1);
    expect(sidecar.log[0]).toMatchObject({
      destination: `${loopback}:${place.port}`,
      claimedHost: 'api.example.com',
      claimedBy: 'sni',
      mtls: false,
    });
    const [figures] = sidecar.counters.outside.snapshot();
    const at = { host: 'api.example.com', port: place.port, by: 'sni' };
    expect(figures).toMatchObject({ ...at, connections: 1, refused: 0 });
    expect(figures!.sentBytes).toBeGreaterThan(500);
    expect(sidecar.counters.totals('outbound')).toMatchObject({ connections: 1, requests: 0 });
  });

  it('is HTTP exactly as the app wrote it, counted by its Host', async () => {
    const odd = 'GET /a?%zz HTTP/1.1\r\nhOsT:  Shop.Example:81 \r\nX-A: 1\r\nx-a:2\r\n\r\n';
    const answer = 'HTTP/1.1 299 Just so\r\nX-Odd-Case: 1\r\nContent-Length: 0\r\n\r\n';
    const { sidecar, entry, came } = await outside((socket) => {
      let all = '';
      socket.on('data', (chunk) => {
        all += chunk.toString('latin1');
        if (all.endsWith('\r\n\r\n')) socket.end(answer);
      });
    });
    const client = connectTo(entry);
    let got = '';
    client.on('data', (chunk) => (got += chunk.toString('latin1')));
    // In pieces: nothing is held back to be looked at as a whole.
    client.write(odd.slice(0, 24));
    await until('the first piece came', () => came[0] === odd.slice(0, 24));
    client.write(odd.slice(24));
    await until('it is over', () => got === answer);
    expect(came).toEqual([odd]);
    await until('it was logged', () => sidecar.log.length === 1);
    expect(sidecar.log[0]).toMatchObject({ claimedHost: 'shop.example', claimedBy: 'host' });
    expect(sidecar.counters.outside.snapshot()).toMatchObject([
      { host: 'shop.example', by: 'host', connections: 1, sentBytes: odd.length },
    ]);
  });

  it('lets the server speak first, and is counted by its address where nothing is claimed', async () => {
    const { sidecar, entry, place } = await outside((socket) => void socket.write('220 ready\r\n'));
    const client = connectTo(entry);
    const [greeting] = (await once(client, 'data')) as [Buffer];
    expect(greeting.toString()).toBe('220 ready\r\n');
    client.write('QUIT\r\n');
    client.end();
    await until('it was logged', () => sidecar.log.length === 1);
    expect(sidecar.counters.outside.snapshot()).toMatchObject([
      { host: loopback, port: place.port, by: 'address', connections: 1, receivedBytes: 11 },
    ]);
    expect(sidecar.log[0]).not.toHaveProperty('claimedHost');
  });

  it('is named however small the pieces are that a ClientHello comes in', async () => {
    const { sidecar, entry, came } = await outside(() => undefined);
    const hello = await helloFor('piecemeal.example');
    const client = connectTo(entry);
    for (let at = 0; at < hello.length; at += 97) {
      const piece = hello.subarray(at, at + 97);
      client.write(piece);
      await until('it came through', () => came[0]?.length === at + piece.length);
    }
    const claimed = sidecar.counters.outside.snapshot();
    expect(claimed).toMatchObject([{ host: 'piecemeal.example', by: 'sni', connections: 1 }]);
    expect(Buffer.from(came[0]!, 'latin1').equals(hello)).toBe(true);
  });

  it('cannot fill the sidecar with names, nor displace a Service of the mesh', async () => {
    const { sidecar, entry, place } = await outside((socket) => socket.resume());
    for (let i = 0; i < maxOutside + 20; i += 1) {
      const client = connectTo(entry);
      client.end(`GET / HTTP/1.1\r\nHost: h${i}.example\r\n\r\n`);
      client.resume();
      await closed(client);
    }
    await until('all are counted', () => sidecar.log.length === maxOutside + 20);
    expect(sidecar.counters.outside.snapshot()).toHaveLength(maxOutside + 1);
    expect(sidecar.counters.outside.snapshot().at(-1)).toMatchObject({
      host: '(other)',
      connections: 20,
    });
    expect(sidecar.counters.snapshot('outbound').map(({ name }) => name)).toEqual(['(outside)']);
    expect(place.port).toBeGreaterThan(0);
  }, 20_000);
});

describe('what may not leave the mesh', () => {
  it('is refused with the host that the app named, over HTTP in words', async () => {
    const { sidecar, entry, place, came } = await outside(() => undefined);
    refuseAll(sidecar);
    const answer = await call({ port: entry, headers: { host: 'shop.example:80' }, agent: false });
    expect(answer.status).toBe(502);
    expect(answer.body.toString()).toContain(
      `${loopback}:${place.port}, called shop.example by its Host`,
    );
    expect(sidecar.counters.outside.snapshot()).toMatchObject([
      { host: 'shop.example', by: 'host', refused: 1, connections: 0 },
    ]);
    expect(came).toEqual([]);
  });

  it('is reset if it is TLS, and logged with the server name, in pieces too', async () => {
    const { sidecar, entry, place, came } = await outside(() => undefined);
    refuseAll(sidecar);
    const hello = await helloFor('api.example.com');
    const client = connectTo(entry);
    client.write(hello.subarray(0, 60));
    await until('it is looked at', () => client.bytesWritten === 60);
    client.write(hello.subarray(60));
    await closed(client);
    expect(sidecar.log[0]).toMatchObject({
      flag: 'RO',
      detail: `${loopback}:${place.port}, called api.example.com by its TLS server name`,
      policy: 'Mesh default',
    });
    expect(sidecar.counters.outside.snapshot()).toMatchObject([
      { host: 'api.example.com', by: 'sni', refused: 1 },
    ]);
    expect(came).toEqual([]);
  });

  it('is refused by its address where the app names nothing', async () => {
    const { sidecar, entry, place } = await outside(() => undefined);
    refuseAll(sidecar);
    const client = connectTo(entry);
    client.write('\u0000\u0001\u0002');
    await closed(client);
    expect(sidecar.log[0]).toMatchObject({ flag: 'RO', detail: `${loopback}:${place.port}` });
    expect(sidecar.counters.outside.snapshot()).toMatchObject([{ host: loopback, refused: 1 }]);
  });
});
