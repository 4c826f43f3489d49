// The embedded cluster: a real Kubernetes of one node on this machine, in namespaces of its own.
// `ensureCluster` reuses a healthy one of the same recipe or makes a new one; `removeCluster` leaves
// no trace. This is the module that tests, the demo and the command line use.
import { createHash } from 'node:crypto';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mustRun, type CommandOptions, type CommandResult } from '../lib/command.ts';
import { kubectlFor } from '../lib/kubectl.ts';
import { clusterIndex } from '../lib/paths.ts';
import { withLock } from '../lib/lock.ts';
import { isRunning, type ProcessName } from '../lib/processes.ts';
import { step } from '../lib/steps.ts';
import { waitFor } from '../lib/wait.ts';
import { addons } from './addons.ts';
import { ensureBinaries, type Binaries } from './binaries.ts';
import { createCgroups } from './cgroups.ts';
import { makeCertificates } from './certificates.ts';
import { componentsFollow } from './components.ts';
import { configurationFiles, daemons } from './configuration.ts';
import { daemonIsRunning, startDaemon, stopDaemon } from './daemons.ts';
import { ensurePackages, requireRoot } from './packages.ts';
import {
  createSandbox,
  destroySandbox,
  linkSandbox,
  removeState,
  runInside,
  spawnInside,
} from './sandbox.ts';
import { clusterSettings, NODE_NAME, type ClusterSettings } from './settings.ts';
import { importArchive, systemImages } from './system-images.ts';

const LOCK_TIMEOUT_MS = 45 * 60_000;

/** What is known of a running cluster between processes. */
interface ClusterRecord {
  readonly recipe: string;
  readonly holder: ProcessName;
  readonly binaries: Binaries;
  /** Only a cluster that came up entirely is reused. */
  readonly complete: boolean;
}

export interface Cluster {
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Path of a kubectl of the cluster's version. */
  readonly kubectl: string;
  /** Folder with the fortio binary (static). */
  readonly fortio: string;
  readonly nodeAddress: string;
  /** Runs a program in the node's namespaces to its end. */
  readonly nodeExec: (args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;
  /** Starts a program in the node's network and mount namespaces, such as tcpdump. */
  readonly nodeSpawn: (args: readonly string[], options: SpawnOptions) => ChildProcess;
  /** Ends the apiserver and starts it again; returns when the cluster's components follow it. */
  readonly restartApiserver: () => Promise<void>;
  /** Imports an image archive (docker or OCI) into the node's container runtime. */
  readonly loadImage: (tar: string) => Promise<void>;
}

/** The running cluster with this number, made now if there is none that is healthy and up to date. */
export async function ensureCluster(index = clusterIndex()): Promise<Cluster> {
  requireRoot();
  await ensurePackages();
  const binaries = await ensureBinaries();
  const settings = clusterSettings(index);
  return await withLock(lockPath(settings), LOCK_TIMEOUT_MS, async () => {
    const recipe = recipeOf(settings, binaries);
    const record = readRecord(settings);
    if (record !== undefined && (await isHealthy(settings, record, recipe))) {
      return handle(settings, record);
    }
    if (existsSync(settings.state)) {
      await step('cluster: removing what an earlier run left', () => remove(settings));
    }
    return handle(settings, await create(settings, binaries, recipe));
  });
}

/** The cluster if it runs and is healthy; it is not made. */
export async function runningCluster(index = clusterIndex()): Promise<Cluster | undefined> {
  const settings = clusterSettings(index);
  const record = readRecord(settings);
  if (record === undefined || !(await isHealthy(settings, record, record.recipe))) return undefined;
  return handle(settings, record);
}

/** Ends the cluster and removes every trace of it but the cache. */
export async function removeCluster(index = clusterIndex()): Promise<void> {
  requireRoot();
  const settings = clusterSettings(index);
  await withLock(lockPath(settings), LOCK_TIMEOUT_MS, () =>
    step('cluster: removing processes, namespaces, mounts and state', () => remove(settings)),
  );
}

/** Ends the cluster at once, whatever else is going on: for a command that is being interrupted. */
export async function abandonCluster(index = clusterIndex()): Promise<void> {
  const settings = clusterSettings(index);
  await remove(settings);
  rmSync(lockPath(settings), { force: true });
}

async function create(
  settings: ClusterSettings,
  binaries: Binaries,
  recipe: string,
): Promise<ClusterRecord> {
  const images = await step('system images: writing', () => systemImages(binaries));
  const record = await step('cluster: making namespaces and certificates', async () => {
    mkdirSync(join(settings.state, 'log'), { recursive: true, mode: 0o755 });
    writeFiles(settings);
    await makeCertificates(settings);
    await createCgroups(settings.cgroup);
    // Recorded at once, so that a run that is killed here leaves nothing unknown behind.
    await createSandbox(settings, (holder) =>
      writeRecord(settings, { recipe, holder, binaries, complete: false }),
    );
    const made = readRecord(settings);
    if (made === undefined) throw new Error(`${recordPath(settings)} cannot be read`);
    await linkSandbox(settings, made.holder);
    return made;
  });
  await step('cluster: starting the control plane', () => startControlPlane(settings, record));
  await step('cluster: importing system images', () => importArchive(record.holder, images));
  await step('cluster: starting the node', () => startNode(settings, record));
  await step('cluster: waiting for DNS', () => waitForDns(settings, record));
  const complete = { ...record, complete: true };
  writeRecord(settings, complete);
  return complete;
}

const watchers = ['kube-controller-manager', 'kube-scheduler', 'kube-proxy'];
const controlPlane = new Set(['containerd', 'etcd', 'kube-apiserver']);

async function startControlPlane(settings: ClusterSettings, record: ClusterRecord): Promise<void> {
  const all = daemons(settings, record.binaries).filter(({ name }) => controlPlane.has(name));
  for (const daemon of all) await startDaemon(settings, record.holder, daemon);
  await waitForApiserver(settings, record);
}

async function startNode(settings: ClusterSettings, record: ClusterRecord): Promise<void> {
  const all = daemons(settings, record.binaries).filter(({ name }) => !controlPlane.has(name));
  for (const daemon of all) await startDaemon(settings, record.holder, daemon);
  await waitFor('node Ready', 60_000, async () => {
    const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    return (await kubectl(settings, record, ['get', 'node', NODE_NAME, '-o', path])) === 'True';
  });
}

async function waitForDns(settings: ClusterSettings, record: ClusterRecord): Promise<void> {
  await kubectl(settings, record, ['apply', '-f', '-'], addons(settings));
  const rollout = [
    '-n',
    'kube-system',
    'rollout',
    'status',
    'deployment/coredns',
    '--timeout=120s',
  ];
  await kubectl(settings, record, rollout);
}

async function waitForApiserver(settings: ClusterSettings, record: ClusterRecord): Promise<void> {
  const log = join(settings.state, 'log/kube-apiserver.log');
  await waitFor(`apiserver ready (see ${log})`, 60_000, async () => {
    return (await kubectl(settings, record, ['get', '--raw', '/readyz'])) === 'ok';
  });
}

function kubectl(
  settings: ClusterSettings,
  record: ClusterRecord,
  args: readonly string[],
  stdin?: string,
): Promise<string> {
  const options = stdin === undefined ? {} : { stdin: { text: stdin } };
  const flags = ['--kubeconfig', kubeconfigPath(settings)];
  return mustRun(join(record.binaries.kubernetes, 'kubectl'), [...flags, ...args], options);
}

/** All programs run, and the apiserver and the node say that they are well. */
async function isHealthy(
  settings: ClusterSettings,
  record: ClusterRecord,
  recipe: string,
): Promise<boolean> {
  if (!record.complete || record.recipe !== recipe || !isRunning(record.holder)) return false;
  for (const daemon of daemons(settings, record.binaries)) {
    if (!(await daemonIsRunning(settings, record.holder, daemon.name))) return false;
  }
  try {
    await waitForApiserver(settings, record);
    return true;
  } catch {
    return false;
  }
}

function handle(settings: ClusterSettings, record: ClusterRecord): Cluster {
  const { holder } = record;
  return {
    kubeconfig: kubeconfigPath(settings),
    kubectl: join(record.binaries.kubernetes, 'kubectl'),
    fortio: record.binaries.fortio,
    nodeAddress: settings.nodeAddress,
    nodeExec: (args, options) => runInside(holder, args, options),
    nodeSpawn: (args, options) => spawnInside(holder, args, options),
    loadImage: (tar) => importArchive(holder, tar),
    restartApiserver: async () => {
      const all = daemons(settings, record.binaries);
      const restart = async (daemon: string): Promise<void> => {
        await stopDaemon(settings, holder, daemon);
        const known = all.find(({ name }) => name === daemon);
        if (known === undefined) throw new Error(`there is no ${daemon} in the cluster`);
        await startDaemon(settings, holder, known);
      };
      await restart('kube-apiserver');
      await waitForApiserver(settings, record);
      // Their watches pause up to a minute after some restarts; beginning anew, they look at once.
      for (const name of watchers) await restart(name);
      const run = kubectlFor(join(record.binaries.kubernetes, 'kubectl'), kubeconfigPath(settings));
      await run(['-n', 'kube-system', 'rollout', 'restart', 'deployment/coredns']);
      await componentsFollow(settings, run, (args) => runInside(holder, args));
    },
  };
}

async function remove(settings: ClusterSettings): Promise<void> {
  await destroySandbox(settings, readRecord(settings)?.holder);
  removeState(settings);
}

function writeFiles(settings: ClusterSettings): void {
  for (const [name, text] of Object.entries(configurationFiles(settings))) {
    const path = join(settings.state, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

/** Everything that makes one cluster different from another: files, command lines, addons, binaries. */
function recipeOf(settings: ClusterSettings, binaries: Binaries): string {
  const parts = [configurationFiles(settings), daemons(settings, binaries), addons(settings)];
  return createHash('sha256').update(JSON.stringify(parts)).update(binaries.key).digest('hex');
}

function kubeconfigPath(settings: ClusterSettings): string {
  return join(settings.state, 'pki/admin.kubeconfig');
}

function lockPath(settings: ClusterSettings): string {
  return `${settings.state}.lock`;
}

function recordPath(settings: ClusterSettings): string {
  return join(settings.state, 'cluster.json');
}

function writeRecord(settings: ClusterSettings, record: ClusterRecord): void {
  writeFileSync(recordPath(settings), JSON.stringify(record, null, 2));
}

function readRecord(settings: ClusterSettings): ClusterRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(settings), 'utf8')) as ClusterRecord;
  } catch {
    return undefined;
  }
}
