// Test support: two sidecars as processes with mutual TLS between them and an HTTP/2 app behind, all on
// loopback; and a relay that lends a plaintext client a certificate and the mesh's ALPN. It judges nothing.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import {
  connect as connectTcp,
  createServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { freePort } from '../../hack/lib/free-ports.ts';
import type { TlsMaterial } from '../../operator/ca/types.ts';
import { alpn } from '../../proxy/api/constants.ts';
import type { LocalFile } from '../../proxy/api/validate.ts';
import { issue, newAuthority, newIdentityDirectory } from '../support/identity-files.ts';
import { destination, endpoints, service, workload } from '../support/sidecar.ts';

const main = join(import.meta.dirname, '../../proxy/main.ts');
const loopback = '127.0.0.1';
const calleeId = 'spiffe://cluster.local/ns/shop/sa/callee';

export interface ProcessMesh {
  /** The app-facing port: an outbound listener whose destination is declared HTTP/2. */
  outboundPort: number;
  /** The peer-facing port: speaks mutual TLS only. */
  inboundPort: number;
  /** Of another workload of the mesh. */
  peerIdentity: TlsMaterial;
  caller: ChildProcess;
  callee: ChildProcess;
  close(): Promise<void>;
}

async function started(child: ChildProcess, name: string): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const entry = JSON.parse(line) as { message?: string };
    if (entry.message !== 'sidecar started') continue;
    child.stdout!.resume();
    return;
  }
  throw new Error(`${name} ended before it was ready`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** `app` listens already on loopback and speaks HTTP/2 in plaintext. */
export async function startProcessMesh(app: AddressInfo): Promise<ProcessMesh> {
  const directory = mkdtempSync(join(tmpdir(), 'tsmesh-h2-'));
  const authority = newAuthority();
  const cleanups: (() => void)[] = [() => rmSync(directory, { recursive: true, force: true })];

  async function run(name: string, content: LocalFile): Promise<ChildProcess> {
    const identity = newIdentityDirectory();
    cleanups.push(() => identity.remove());
    identity.replace(issue(authority, { serviceAccount: name }));
    const file = join(directory, `${name}.json`);
    const own = { identity: identity.path, admin: join(directory, `${name}.sock`) };
    writeFileSync(file, JSON.stringify({ ...content, ...own }));
    const child = spawn(process.execPath, [main], {
      env: { ...process.env, TSMESH_CONFIG_FILE: file },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await started(child, name);
    return child;
  }

  const inboundPort = await freePort();
  const outboundPort = await freePort();
  const port = { protocol: 'http2', mtls: 'STRICT' } as const;
  const quiet = { accessLog: 'errors' } as const;
  const callee = await run('callee', {
    resources: [{ ...workload(port), serviceAccount: 'callee', ...quiet }],
    inbound: [{ listen: `${loopback}:${inboundPort}`, destination: `${loopback}:${app.port}` }],
  });
  const peer = { address: loopback, port: inboundPort, family: 'IPv4' };
  const caller = await run('caller', {
    resources: [
      { ...workload(), serviceAccount: 'caller', ...quiet },
      destination({ protocol: 'http2' }),
      endpoints(peer, calleeId),
    ],
    outbound: [
      {
        listen: `${loopback}:${outboundPort}`,
        destination: `${service.address}:${service.port}`,
      },
    ],
  });
  const peerIdentity = issue(authority, { serviceAccount: 'peer' });
  const close = async (): Promise<void> => {
    await Promise.all([stop(caller), stop(callee)]);
    for (const cleanup of cleanups) cleanup();
  };
  return { outboundPort, inboundPort, peerIdentity, caller, callee, close };
}

export interface Listening {
  port: number;
  close: () => void;
}

function listening(server: Server, sockets: Set<Socket>): Listening {
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** What connects to it in plaintext reaches the sidecar's inbound port as a peer of the mesh. */
export async function startTlsRelay(port: number, identity: TlsMaterial): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (plain) => {
    const tls = connect({
      socket: connectTcp({ host: loopback, port, allowHalfOpen: true, noDelay: true }),
      key: identity.keyPem,
      cert: identity.chainPem,
      ca: identity.rootsPem,
      minVersion: 'TLSv1.3',
      ALPNProtocols: [alpn.http],
      // A sidecar is known by its SPIFFE id, not by a host name.
      checkServerIdentity: () => undefined,
    });
    joinBoth(plain, tls);
    for (const socket of [plain, tls]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  return listening(server, sockets);
}

/** An orderly end and a reset both reach the other side. */
function joinBoth(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', (failed) => {
      if (failed) to.destroy();
      else to.end();
    });
  }
}

export interface App {
  address: AddressInfo;
  close: () => void;
}

/** Answers everything with `body`, as soon as the head is there. */
export async function startApp(body: Buffer): Promise<App> {
  // Node refuses streams when more than this, in MB, waits on a connection.
  const server = createHttp2Server({ maxSessionMemory: 4000 });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session) => session.on('error', () => undefined));
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    stream.end(body);
  });
  server.listen(0, loopback);
  await once(server, 'listening');
  const { close } = listening(server, sockets);
  return { address: server.address() as AddressInfo, close };
}
