// The connection to the API server when the network keeps silent: nothing waits for ever.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTransport, type KubeTransport } from './transport.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsmesh-transport-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function transportTo(server: string): Promise<KubeTransport> {
  const kubeconfig = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'one', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'one', user: {} }],
    contexts: [{ name: 'one', context: { cluster: 'one', user: 'one' } }],
    'current-context': 'one',
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  return createTransport({ kubeconfig, nowMs: () => 0, connectTimeoutMs: 300 });
}

/** A port whose queue of connections is full: further SYNs get no answer. */
async function fullPort(): Promise<{ port: number; end: () => void }> {
  const program = `const s = require('node:net').createServer();
    s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      process.stdout.write(String(s.address().port), () => process.kill(process.pid, 'SIGSTOP'));
    });`;
  const child: ChildProcess = spawn(process.execPath, ['-e', program]);
  const [first] = (await once(child.stdout!, 'data')) as [Buffer];
  const port = Number(first.toString());
  const fillers = Array.from({ length: 4 }, () => net.connect(port, '127.0.0.1'));
  for (const one of fillers) one.on('error', () => undefined);
  await Promise.all(fillers.slice(0, 2).map((one) => once(one, 'connect')));
  const end = (): void => {
    for (const one of fillers) one.destroy();
    child.kill('SIGKILL');
  };
  return { port, end };
}

describe('a request to the API server', () => {
  it('gives up when nobody answers its connection', async () => {
    const { port, end } = await fullPort();
    try {
      const transport = await transportTo(`http://127.0.0.1:${port}`);
      const never = new AbortController().signal;
      const [send, stream] = await Promise.allSettled([
        transport.send({ method: 'GET', path: '/' }),
        transport.stream('/?watch=true', { onLine: () => undefined }, never),
      ]);
      expect(send).toMatchObject({ reason: { message: 'no connection in time' } });
      expect(stream).toMatchObject({ reason: { message: 'no connection in time' } });
      transport.close();
    } finally {
      end();
    }
  });

  it('gives up when the connection is there and TLS never comes', async () => {
    const server = net.createServer((socket) => socket.on('error', () => undefined));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const transport = await transportTo(`https://127.0.0.1:${port}`);
    const sent = transport.send({ method: 'GET', path: '/' });
    await expect(sent).rejects.toThrow('no connection in time');
    transport.close();
    server.close();
  });

  it('waits longer for the events of a watch than for a connection', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        setTimeout(() => socket.end('3\r\na\nb\r\n1\r\n\n\r\n0\r\n\r\n'), 900);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const transport = await transportTo(`http://127.0.0.1:${port}`);
    const lines: string[] = [];
    const never = new AbortController().signal;
    const onLine = (line: string): unknown => lines.push(line);
    const { status } = await transport.stream('/?watch=true', { onLine }, never);
    expect({ status, lines }).toEqual({ status: 200, lines: ['a', 'b'] });
    transport.close();
    server.close();
  });
});
