// Test support: two sidecars as processes of their own, from local files, mutual TLS between them: the
// caller's in front of clients, the callee's in front of apps. What they use is read from /proc.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePorts } from '../../hack/lib/free-ports.ts';
import { environments, nodeFlags } from '../../hack/images/runtime.ts';
import type { Protocol, Resource, WorkloadResource } from '../../proxy/api/resources.ts';
import type { LocalFile } from '../../proxy/api/validate.ts';
import { issue, newAuthority, newIdentityDirectory } from './identity-files.ts';
import { destination, endpoints, loopback, route, workload } from './sidecar.ts';

const sources = join(import.meta.dirname, '../../proxy/main.ts');
const calleeId = 'spiffe://cluster.local/ns/shop/sa/callee';

/** One app, reached through both sidecars at `entry`, and through the callee's alone at `inbound`. */
export interface PairApp {
  name: string;
  /** As both sides declare the port. */
  protocol: Protocol;
  address: AddressInfo;
}

export interface PairSettings {
  apps: PairApp[];
  mtls?: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  /** The caller knows no identity of the callee: no mutual TLS between them. */
  plaintext?: boolean;
  accessLog?: WorkloadResource['accessLog'];
  /** Further resources of the caller. */
  resources?: Resource[];
  /** The program to run, with the image's flags of Node and its environment; the sources where none is named. */
  program?: string;
}

export interface SidecarProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Lines of its log so far, the newest last; bounded. */
  readonly log: Record<string, unknown>[];
  metrics(): Promise<string>;
  /** Sum of all series of a metric that carry all these labels. */
  metric(name: string, ...labels: string[]): Promise<number>;
  openFiles(): number;
  renew: () => void;
  stop(): Promise<void>;
}

export interface ProcessPair {
  readonly caller: SidecarProcess;
  readonly callee: SidecarProcess;
  /** Ports by the app's name. */
  readonly entry: Record<string, number>;
  readonly inbound: Record<string, number>;
  close(): Promise<void>;
}

export async function startProcessPair(settings: PairSettings): Promise<ProcessPair> {
  const { apps, program = sources } = settings;
  const ports = await freePorts(2 * apps.length);
  const entry: Record<string, number> = {};
  const inbound: Record<string, number> = {};
  for (const [index, { name }] of apps.entries()) {
    entry[name] = ports[2 * index]!;
    inbound[name] = ports[2 * index + 1]!;
  }
  const directory = mkdtempSync(join(tmpdir(), 'tsmesh-pair-'));
  const start = newStarter(directory, program);
  const callee = await start('callee', calleeFile(settings, inbound));
  const caller = await start('caller', callerFile(settings, entry, inbound));
  async function close(): Promise<void> {
    await Promise.all([caller.stop(), callee.stop()]);
    rmSync(directory, { recursive: true, force: true });
  }
  return { caller, callee, entry, inbound, close };
}

function calleeFile(settings: PairSettings, inbound: Record<string, number>): LocalFile {
  const { apps, mtls = 'STRICT', accessLog = 'off' } = settings;
  const self = workload({ mtls, decidedBy: 'PeerAuthentication shop/pair' });
  const ports = Object.fromEntries(
    apps.map(({ protocol, address }) => [address.port, { ...self.inbound.other, protocol }]),
  );
  return {
    resources: [
      {
        ...self,
        serviceAccount: 'callee',
        accessLog,
        inbound: { ...self.inbound, ports },
      },
    ],
    inbound: apps.map(({ name, address }) => ({
      listen: `${loopback}:${inbound[name]}`,
      destination: `${address.address}:${address.port}`,
    })),
  };
}

function callerFile(
  settings: PairSettings,
  entry: Record<string, number>,
  inbound: Record<string, number>,
): LocalFile {
  const { apps, accessLog = 'off', plaintext = false, resources = [] } = settings;
  const own: Resource[] = [{ ...workload(), serviceAccount: 'caller', accessLog }, ...resources];
  const outbound: LocalFile['outbound'] = [];
  for (const [index, { name, protocol }] of apps.entries()) {
    const target = `10.96.0.7:${80 + index}`;
    const backends = [{ endpoints: `shop/${name}:80`, weight: 1 }];
    const at = { address: loopback, port: inbound[name]!, family: 'IPv4' };
    const routes = protocol === 'tcp' ? [] : [route({ backends })];
    own.push(
      destination({ name: target, host: `${name}.shop:80`, protocol, routes, tcp: backends }),
      endpoints(at, plaintext ? null : calleeId, `shop/${name}:80`),
    );
    outbound.push({ listen: `${loopback}:${entry[name]}`, destination: target });
  }
  return { resources: own, outbound };
}

type Start = (name: string, content: LocalFile) => Promise<SidecarProcess>;

function newStarter(directory: string, program: string): Start {
  const authority = newAuthority();
  return async (name, content) => {
    const identity = newIdentityDirectory();
    const renew = () => identity.replace(issue(authority, { serviceAccount: name }));
    renew();
    const file = join(directory, `${name}.json`);
    const admin = join(directory, `${name}.sock`);
    writeFileSync(file, JSON.stringify({ ...content, identity: identity.path, admin }));
    const child = spawn(process.execPath, [...(nodeFlags.proxy ?? []), program], {
      env: { PATH: process.env['PATH'], ...environments.proxy, TSMESH_CONFIG_FILE: file },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const log: Record<string, unknown>[] = [];
    const health = await followLog(child, log);
    return asSidecar({ child, log, health, renew, remove: () => identity.remove() });
  };
}

const maxLines = 2_000;

/** Keeps the newest lines; resolves with the health port as the log says it. */
function followLog(child: ChildProcess, log: Record<string, unknown>[]): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('a sidecar ended')));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const entry = JSON.parse(line) as { message?: string; health?: number };
      log.push({ ...entry });
      if (log.length > maxLines) log.shift();
      if (entry.message === 'sidecar started') resolve(entry.health!);
    });
  });
}

interface Parts {
  child: ChildProcess;
  log: Record<string, unknown>[];
  health: number;
  renew: () => void;
  remove: () => void;
}

function asSidecar({ child, log, health, renew, remove }: Parts): SidecarProcess {
  const pid = child.pid!;
  let stopping = false;
  child.once('exit', (code, signal) => {
    if (!stopping) console.error('a sidecar ended by itself', { code, signal }, log.slice(-3));
  });
  const metrics = async (): Promise<string> =>
    await (await fetch(`http://${loopback}:${health}/metrics`)).text();
  return {
    child,
    pid,
    log,
    metrics,
    async metric(name, ...labels) {
      let sum = 0;
      for (const line of (await metrics()).split('\n')) {
        if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
        if (labels.every((label) => line.includes(label))) sum += Number(line.split(' ').at(-1));
      }
      return sum;
    },
    openFiles: () => readdirSync(`/proc/${pid}/fd`).length,
    renew,
    async stop() {
      stopping = true;
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, 'exit');
        child.kill('SIGKILL');
        await exit;
      }
      remove();
    },
  };
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
