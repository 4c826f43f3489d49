// Two sidecars on loopback in local file mode, mTLS between them: the client's, and the server's in
// front of an app. The bundle is the shipped one.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAuthority, createRoot } from '../../operator/ca/authority.ts';
import { identityKeys } from '../../proxy/api/constants.ts';
import type { DestinationResource, Resource, WorkloadResource } from '../../proxy/api/resources.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { environments, nodeFlags } from '../images/definitions.ts';
import { repository } from '../lib/paths.ts';

export interface PortPlan {
  /** Where the client's app connects to. */
  entry: number;
  /** The server's inbound listener, on the app's own address. */
  peer: number;
  app: number;
  clientHealth: number;
  serverHealth: number;
}

export const portPlan: PortPlan = {
  entry: 21001,
  peer: 21006,
  app: 21080,
  clientHealth: 21021,
  serverHealth: 21020,
};

export interface SidecarPair {
  client: ChildProcess;
  server: ChildProcess;
  close(): Promise<void>;
}

const trustDomain = 'cluster.local';
const identityOf = (name: string) =>
  formatSpiffeId({ trustDomain, namespace: 'bench', serviceAccount: name });

export async function startPair(): Promise<SidecarPair> {
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-bench-'));
  writeIdentities(folder);
  const server = startSidecar(writeServerFile(folder));
  const client = startSidecar(writeClientFile(folder));
  await isReady(portPlan.serverHealth);
  await isReady(portPlan.clientHealth);
  const close = async (): Promise<void> => {
    await Promise.all([end(client), end(server)]);
    rmSync(folder, { recursive: true });
  };
  return { client, server, close };
}

/** Milliseconds from the start of a sidecar process until it answers ready. */
export async function timeToReady(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-bench-'));
  writeIdentities(folder);
  const file = writeServerFile(folder);
  const started = performance.now();
  const sidecar = startSidecar(file);
  await isReady(portPlan.serverHealth, 2);
  const elapsed = performance.now() - started;
  await end(sidecar);
  rmSync(folder, { recursive: true });
  return elapsed;
}

/** The command line of the image. */
function startSidecar(configFile: string): ChildProcess {
  const bundle = join(repository, 'dist/proxy/main.mjs');
  return spawn(process.execPath, [...(nodeFlags.proxy ?? []), bundle], {
    env: { PATH: process.env['PATH'], ...environments.proxy, TSMESH_CONFIG_FILE: configFile },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await once(child, 'exit');
  clearTimeout(late);
}

async function isReady(port: number, everyMs = 20): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => null);
    if (answer?.status === 200) return;
    if (performance.now() > deadline) throw new Error(`port ${port}: not ready within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function writeIdentities(folder: string): void {
  const nowMs = Date.now();
  const made = loadAuthority(createRoot(trustDomain, 86_400_000, nowMs), nowMs);
  if (!made.ok) throw new Error(made.problem.message);
  for (const name of ['client', 'server']) {
    const request = { uris: [identityOf(name)], dnsNames: [], lifetimeMs: 86_400_000 };
    const leaf = made.authority.issue(request, nowMs);
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, identityKeys.chain), leaf.chainPem);
    writeFileSync(join(folder, name, identityKeys.key), leaf.keyPem);
    writeFileSync(join(folder, name, identityKeys.roots), leaf.rootsPem);
  }
}

function workload(serviceAccount: string): WorkloadResource {
  const port = { protocol: 'auto', mtls: 'STRICT', decidedBy: 'Mesh default' } as const;
  return {
    type: 'Workload',
    name: 'self',
    trustDomain,
    namespace: 'bench',
    serviceAccount,
    inbound: { ports: {}, other: port },
    outbound: { policy: 'AllowAny', whenDisconnected: 'refuse' },
    accessLog: 'errors',
    statisticsIntervalMs: 5000,
    policies: [],
  };
}

function write(folder: string, name: string, content: object): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

function writeServerFile(folder: string): string {
  const { peer, app, serverHealth } = portPlan;
  return write(folder, 'server-config', {
    resources: [workload('server')] satisfies Resource[],
    inbound: [{ listen: `127.0.0.1:${peer}`, destination: `127.0.0.1:${app}` }],
    health: `127.0.0.1:${serverHealth}`,
    identity: join(folder, 'server'),
    logLevel: 'error',
  });
}

function writeClientFile(folder: string): string {
  const { entry, peer, clientHealth } = portPlan;
  const route = {
    name: 'default',
    matches: [],
    backends: [{ endpoints: 'bench/server:80', weight: 1 }],
    timeoutMs: null,
    retry: null,
    requestHeaders: null,
    responseHeaders: null,
    rewrite: null,
    redirect: null,
  };
  const destination: DestinationResource = {
    type: 'Destination',
    name: '10.99.0.1:80',
    kind: 'service',
    host: 'server.bench:80',
    protocol: 'auto',
    routes: [route],
    tcp: route.backends,
    policies: [],
  };
  const endpoint = { address: '127.0.0.1', port: peer, identity: identityOf('server') };
  const endpoints = [{ ...endpoint, podName: 'server', zone: '' }];
  return write(folder, 'client-config', {
    resources: [
      workload('client'),
      destination,
      { type: 'Endpoints', name: 'bench/server:80', endpoints },
    ] satisfies Resource[],
    outbound: [{ listen: `127.0.0.1:${entry}`, destination: '10.99.0.1:80' }],
    health: `127.0.0.1:${clientHealth}`,
    identity: join(folder, 'client'),
    logLevel: 'error',
  });
}
