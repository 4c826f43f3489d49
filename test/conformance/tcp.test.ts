// Opaque TCP through real sidecar processes: through two of them with mutual TLS between, and through one in
// plaintext. Ends, resets, back-pressure, who speaks first, TLS of the app's own, leaks.

import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { issue, newAuthority, until as untilWithin } from '../support/identity-files.ts';
import { residentBytes, startProcessPair, type ProcessPair } from '../support/process-pair.ts';
import { loopback } from '../support/sidecar.ts';
import { dial, patienceMs, pour, startTcpApp, type End, type TcpApp } from './tcp-ends.ts';

const until = (holds: () => boolean): Promise<void> => untilWithin(holds, patienceMs);

let apps: Record<'tcp' | 'auto', TcpApp>;
let tlsApp: tls.Server;
let pair: ProcessPair;
/** What the TLS app saw of each handshake. */
const hellos: { servername: unknown; alpn: unknown }[] = [];

beforeAll(async () => {
  apps = { tcp: await startTcpApp(), auto: await startTcpApp() };
  tlsApp = await startTlsApp();
  pair = await startProcessPair({
    apps: [
      { name: 'tcp', protocol: 'tcp', address: apps.tcp.address },
      { name: 'auto', protocol: 'auto', address: apps.auto.address },
      { name: 'tls', protocol: 'auto', address: tlsApp.address() as AddressInfo },
      { name: 'nobody', protocol: 'tcp', address: await unusedAddress() },
    ],
    mtls: 'PERMISSIVE',
    accessLog: 'errors',
  });
}, 30_000);

afterAll(async () => {
  await pair.close();
  tlsApp.close();
  for (const app of Object.values(apps)) app.close();
});

async function startTlsApp(): Promise<tls.Server> {
  const { chainPem: cert, keyPem: key } = issue(newAuthority(), { serviceAccount: 'app' });
  const server = tls.createServer({ cert, key, ALPNProtocols: ['acme', 'h2'] }, (socket) => {
    const { servername } = socket as unknown as { servername: unknown };
    hellos.push({ servername, alpn: socket.alpnProtocol });
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  return server;
}

async function unusedAddress(): Promise<AddressInfo> {
  const server = createServer().listen(0, loopback);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  server.close();
  return address;
}

const paths = ['two sidecars, mutual TLS', 'one sidecar, plaintext'] as const;
type Path = (typeof paths)[number];

function portOf(path: Path, name: string): number {
  const ports = path === 'one sidecar, plaintext' ? pair.inbound : pair.entry;
  return ports[name]!;
}

/** Both ends of a connection that has carried a byte. */
async function join(path: Path, name: 'tcp' | 'auto' = 'tcp'): Promise<{ client: End; app: End }> {
  const client = dial(portOf(path, name));
  client.socket.write('>');
  const app = await apps[name].next();
  await until(() => app.text === '>');
  return { client, app };
}

describe.each(paths)('an opaque connection through %s', (path) => {
  it('goes on towards the client after the client has ended its side', async () => {
    const { client, app } = await join(path);
    client.socket.end('last');
    await until(() => app.ended);
    expect(app.text).toBe('>last');
    const { done } = pour(app.socket, 4 << 20);
    await done;
    await until(() => client.ended);
    expect([client.received, client.error]).toEqual([4 << 20, null]);
  });

  it('goes on towards the app after the app has ended its side', async () => {
    const { client, app } = await join(path);
    app.socket.end('bye');
    await until(() => client.ended);
    expect(client.text).toBe('bye');
    await pour(client.socket, 4 << 20).done;
    await until(() => app.ended);
    expect([app.received, app.error]).toEqual([1 + (4 << 20), null]);
  });

  it('carries a reset of the client to the app', async () => {
    const { client, app } = await join(path);
    client.socket.resetAndDestroy();
    await until(() => app.closed);
    expect([app.error, app.ended]).toEqual(['ECONNRESET', false]);
  });

  it('carries a reset of the app to the client, and what was said before it', async () => {
    const { client, app } = await join(path);
    app.socket.write('too many connections', () => app.socket.resetAndDestroy());
    await until(() => client.closed);
    expect(client.text).toBe('too many connections');
    expect([client.error, client.ended]).toEqual(['ECONNRESET', false]);
  });

  it('carries a reset by who has ended its own side before', async () => {
    const { client, app } = await join(path);
    app.socket.end();
    await until(() => client.ended);
    app.socket.resetAndDestroy();
    // In this state Linux tells a reader nothing; a writer hears of it.
    await until(() => {
      if (client.socket.writable) client.socket.write('.');
      return client.closed;
    });
    expect(client.error).toMatch(/EPIPE|ECONNRESET/);
  });

  it('carries a reset by who was told of the end of the other side', async () => {
    const { client, app } = await join(path);
    app.socket.end();
    await until(() => client.ended);
    client.socket.resetAndDestroy();
    await until(() => app.closed);
    expect(app.error).toBe('ECONNRESET');
  });

  it('lets the server speak first on a port that declares nothing', async () => {
    const client = dial(portOf(path, 'auto'));
    const app = await apps.auto.next();
    app.socket.write('220 ready\r\n');
    await until(() => client.text === '220 ready\r\n');
    client.socket.destroy();
  });

  it('hands on one byte of a client that then stops', async () => {
    const { client, app } = await join(path, 'auto');
    app.socket.write('heard');
    await until(() => client.text === 'heard');
    client.socket.destroy();
  });

  it('is closed at the app too where a client that never sent leaves', async () => {
    const client = dial(portOf(path, 'auto'));
    const app = await apps.auto.next();
    client.socket.end();
    await until(() => app.ended);
    app.socket.end();
    await until(() => client.closed && app.closed);
    expect([client.error, app.error, app.received]).toEqual([null, null, 0]);
  });

  it('passes TLS of the app with its server name and protocols untouched', async () => {
    const socket = tls.connect({
      port: portOf(path, 'tls'),
      host: loopback,
      servername: 'shop.example',
      ALPNProtocols: ['acme'],
      rejectUnauthorized: false,
    });
    socket.write('through');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toBe('through');
    expect(hellos.at(-1)).toEqual({ servername: 'shop.example', alpn: 'acme' });
    socket.destroy();
  });

  it('is reset where the app accepts no connection, and the log says why', async () => {
    const before = await pair.callee.metric('tsmesh_errors_total', 'flag="AF"');
    const client = dial(portOf(path, 'nobody'));
    client.socket.write('hello?');
    await until(() => client.closed);
    expect([client.error, client.received]).toEqual(['ECONNRESET', 0]);
    expect(await pair.callee.metric('tsmesh_errors_total', 'flag="AF"')).toBe(before + 1);
    const refused = pair.callee.log.filter(({ flag }) => flag === 'AF').at(-1);
    expect(refused?.['detail']).toContain('ECONNREFUSED');
  });
});

describe.each(paths)('back-pressure through %s', (path) => {
  const bytes = 96 << 20;

  it.each(['towards the app', 'towards the client'] as const)(
    'stops the writer %s, holds little, and loses nothing',
    async (direction) => {
      const { client, app } = await join(path);
      const [writer, reader] = direction === 'towards the app' ? [client, app] : [app, client];
      const sidecars = [pair.caller, pair.callee];
      reader.socket.pause();
      const before = sidecars.map(({ pid }) => residentBytes(pid));
      const { taken, done } = pour(writer.socket, bytes);
      // All buffers on the way are full once nothing moved for a while.
      let seen = -1;
      await until(() => {
        const still = taken() === seen;
        seen = taken();
        return still && seen > 0;
      });
      expect(taken()).toBeLessThan(48 << 20);
      const grown = sidecars.map(({ pid }, i) => residentBytes(pid) - before[i]!);
      for (const growth of grown) expect(growth).toBeLessThan(32 << 20);
      reader.socket.resume();
      await done;
      await until(() => reader.ended);
      expect(reader.received).toBe(bytes + (reader === app ? 1 : 0));
      writer.socket.destroy();
      reader.socket.destroy();
    },
    60_000,
  );
});

describe('many short connections', () => {
  it('leave nothing open in either sidecar', async () => {
    const files = () => [pair.caller.openFiles(), pair.callee.openFiles()];
    await until(() => apps.tcp.connections.every(({ closed }) => closed));
    const before = files();
    const connections = 'tsmesh_tcp_connections_total';
    const counted = await pair.callee.metric(connections);
    const one = async (): Promise<void> => {
      const client = dial(pair.entry['tcp']!);
      client.socket.write('x');
      const app = await apps.tcp.next();
      await until(() => app.text === 'x');
      app.socket.end('y');
      await until(() => client.ended);
      client.socket.end();
      await until(() => client.closed);
    };
    for (let round = 0; round < 30; round += 1) await Promise.all(Array.from({ length: 10 }, one));
    await until(() => files().every((count, i) => count <= before[i]!));
    expect(await pair.callee.metric(connections)).toBe(counted + 300);
  }, 60_000);
});
