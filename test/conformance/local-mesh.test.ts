// Two sidecars as processes, each from a local file and without an operator: what a developer runs on a
// laptop. HTTP and a server that speaks first over mutual TLS, refusals in words, an orderly end.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, request } from 'node:http';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../hack/lib/free-ports.ts';
import type { LocalFile } from '../../proxy/api/validate.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  type IdentityDirectory,
} from '../support/identity-files.ts';
import { destination, endpoints, service, workload } from '../support/sidecar.ts';

const main = join(import.meta.dirname, '../../proxy/main.ts');
const authority = newAuthority();
const serverId = 'spiffe://cluster.local/ns/shop/sa/server';

interface Process {
  child: ChildProcess;
  file: string;
  health: number;
}

let directory: string;
const identities: IdentityDirectory[] = [];
const servers: Server[] = [];
const processes: Process[] = [];

async function listenOn(server: Server): Promise<AddressInfo> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address() as AddressInfo;
}

/** Started, and its health port as its log says it. */
async function startSidecar(name: string, content: LocalFile): Promise<Process> {
  const identity = newIdentityDirectory();
  identities.push(identity);
  identity.replace(issue(authority, { serviceAccount: name }));
  const file = join(directory, `${name}.json`);
  const admin = join(directory, `${name}.sock`);
  writeFileSync(file, JSON.stringify({ ...content, identity: identity.path, admin }));
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, TSMESH_CONFIG_FILE: file },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = JSON.parse(line) as { message?: string; health?: number };
    if (entry.message !== 'sidecar started') continue;
    child.stdout.resume();
    const started = { child, file, health: entry.health! };
    processes.push(started);
    return started;
  }
  throw new Error(`${name} ended before it was ready`);
}

function workloadOf(name: string, mtls: 'STRICT' | 'PERMISSIVE') {
  const decidedBy = 'PeerAuthentication shop/strict';
  return { ...workload({ mtls, decidedBy }), serviceAccount: name };
}

interface Answer {
  status: number;
  body: string;
}

function get(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode!, body }), reject);
    })
      .on('error', reject)
      .end();
  });
}

let httpPort: number;
let tcpPort: number;
let inboundPort: number;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tsmesh-local-'));
  const http = await listenOn(
    createHttpServer((incoming, response) => {
      response.end(`${incoming.url} for ${String(incoming.headers['tsmesh-client-identity'])}`);
    }),
  );
  const tcp = await listenOn(
    createServer((socket) => {
      socket.on('error', () => {});
      socket.write('220 ready\n');
      socket.on('data', (bytes) => socket.end(`heard ${bytes.toString()}`));
    }),
  );
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()] as const;
  [httpPort, tcpPort, inboundPort] = ports;
  const inboundTcp = ports[3];
  await startSidecar('server', {
    resources: [workloadOf('server', 'STRICT')],
    inbound: [
      { listen: `127.0.0.1:${inboundPort}`, destination: `127.0.0.1:${http.port}` },
      { listen: `127.0.0.1:${inboundTcp}`, destination: `127.0.0.1:${tcp.port}` },
    ],
  });
  const at = (port: number) => ({ address: '127.0.0.1', port, family: 'IPv4' });
  const second = { name: `${service.address}:81`, protocol: 'tcp' as const, host: 'app.shop:81' };
  const backends = [{ endpoints: 'shop/app:81', weight: 1 }];
  await startSidecar('client', {
    resources: [
      workloadOf('client', 'PERMISSIVE'),
      destination(),
      endpoints(at(inboundPort), serverId),
      destination({ ...second, routes: [], tcp: backends }),
      endpoints(at(inboundTcp), serverId, 'shop/app:81'),
    ],
    outbound: [
      { listen: `127.0.0.1:${httpPort}`, destination: `${service.address}:80` },
      { listen: `127.0.0.1:${tcpPort}`, destination: `${service.address}:81` },
    ],
  });
}, 30_000);

afterAll(async () => {
  for (const { child } of processes) {
    if (child.exitCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const server of servers) server.close();
  for (const identity of identities) identity.remove();
  rmSync(directory, { recursive: true, force: true });
});

describe('two sidecars from local files', () => {
  it('carry a request, and the callee learns who called', async () => {
    expect(await get(httpPort, '/hello?a=1')).toEqual({
      status: 200,
      body: '/hello?a=1 for spiffe://cluster.local/ns/shop/sa/client',
    });
  });

  it('carry a connection whose server speaks first', async () => {
    const socket = connect(tcpPort, '127.0.0.1');
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    expect(greeting.toString()).toBe('220 ready\n');
    socket.write('hi');
    expect(await text(socket)).toBe('heard hi');
  });

  it('refuse a caller without a sidecar, and name the policy', async () => {
    const { status, body } = await get(inboundPort, '/');
    expect(status).toBe(403);
    expect(body).toContain('PeerAuthentication shop/strict');
  });

  it('count what they carried over mutual TLS', async () => {
    const { body } = await get(processes[1]!.health, '/metrics');
    expect(body).toContain(
      'tsmesh_requests_mtls_total{direction="outbound",destination="app.shop:80"} 1',
    );
    expect(body).toContain(
      'tsmesh_tcp_connections_mtls_total{direction="outbound",destination="app.shop:81"} 1',
    );
  });

  it('answer the admin command of the same program', () => {
    const { stdout, status } = spawnSync(process.execPath, [main, 'admin', '/mtls'], {
      encoding: 'utf8',
      env: { ...process.env, TSMESH_CONFIG_FILE: processes[0]!.file },
    });
    expect(status).toBe(0);
    expect(stdout).toContain('"decidedBy": "PeerAuthentication shop/strict"');
  });

  it('end in order on SIGTERM', async () => {
    for (const { child } of processes) {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
    }
  });
});

describe('a sidecar that cannot start', () => {
  it.each([
    ['a file that is no JSON', '{', 'is not JSON'],
    ['a misspelt field', '{"resources":[],"inbuond":[]}', 'has an unknown field'],
  ])('says why with %s and exits with 1', (_what, content, words) => {
    const file = join(directory, 'bad.json');
    writeFileSync(file, content);
    const { stdout, status } = spawnSync(process.execPath, [main], {
      encoding: 'utf8',
      env: { ...process.env, TSMESH_CONFIG_FILE: file },
    });
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ level: 'error' });
    expect(stdout).toContain(words);
  });

  it('names the ports that are its own where one is taken', async () => {
    const { port } = await listenOn(createServer());
    const file = join(directory, 'taken.json');
    const outbound = [{ listen: `127.0.0.1:${port}`, destination: '10.96.0.7:80' }];
    writeFileSync(file, JSON.stringify({ resources: [], outbound }));
    const { stdout, status } = spawnSync(process.execPath, [main], {
      encoding: 'utf8',
      env: { ...process.env, TSMESH_CONFIG_FILE: file },
    });
    expect(status).toBe(1);
    expect(stdout).toContain('EADDRINUSE');
    expect(stdout).toContain('15001, 15006, 15020');
  });

  it('names the environment variable that is missing', () => {
    const { stdout, status } = spawnSync(process.execPath, [main], { encoding: 'utf8', env: {} });
    expect(status).toBe(1);
    expect(stdout).toContain('TSMESH_BOOTSTRAP is missing');
  });
});
