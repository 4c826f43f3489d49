// The namespaces in which the node lives (network, mounts, processes, host name, IPC), held by one
// process. When that process ends, the kernel ends everything inside: no process, mount, interface
// or iptables rule of the node outlives it. It knows nothing of Kubernetes.
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { existsSync, openSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  mustRun,
  programEnvironment,
  run,
  tail,
  type CommandOptions,
  type CommandResult,
} from '../lib/command.ts';
import { isRunning, kill, processName, type ProcessName } from '../lib/processes.ts';
import { waitFor } from '../lib/wait.ts';
import { removeCgroups } from './cgroups.ts';
import { NODE_NAME, type ClusterSettings } from './settings.ts';

/**
 * The first process inside. It reaps orphans, as bash does.
 * The kubelet would write these kernel settings, which belong to the host: it finds its values there
 * already, in files mounted over them, and leaves the host's alone.
 */
const initScript = (state: string) => `
set -e
mount --make-rshared /
hostname ${NODE_NAME}
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock ${state}/{var-log,var-lib-kubelet,sysctl}
if mkdir /var/lib/kubelet 2>/dev/null; then touch ${state}/made-var-lib-kubelet; fi
mount --bind ${state}/var-log /var/log
mount --bind ${state}/var-lib-kubelet /var/lib/kubelet
override() {
  echo "$2" > ${state}/sysctl/\${1//\\//.}
  mount --bind ${state}/sysctl/\${1//\\//.} /proc/sys/$1
}
override vm/overcommit_memory 1
override vm/panic_on_oom 0
override kernel/panic 10
override kernel/panic_on_oops 1
override kernel/keys/root_maxkeys 1000000
override kernel/keys/root_maxbytes 25000000
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
touch ${state}/sandbox-ready
while true; do sleep 3600 & wait $! || true; done
`;

/** Makes the namespaces; `started` hears of the process that holds them as soon as it exists. */
export async function createSandbox(
  settings: ClusterSettings,
  started: (holder: ProcessName) => void,
): Promise<void> {
  const logFile = join(settings.state, 'log/sandbox.log');
  const log = openSync(logFile, 'a');
  const child = spawn(
    'unshare',
    [
      ...'--net --mount --pid --uts --ipc --fork --mount-proc --kill-child=SIGKILL'.split(' '),
      ...'-- bash -c'.split(' '),
      initScript(settings.state),
    ],
    { detached: true, stdio: ['ignore', log, log], cwd: '/', env: programEnvironment() },
  );
  child.unref();
  const holder = child.pid === undefined ? undefined : processName(child.pid);
  if (holder === undefined) throw new Error('unshare could not be started');
  started(holder);
  await waitFor(`the node's namespaces (see ${logFile})`, 10_000, () => {
    if (existsSync(join(settings.state, 'sandbox-ready'))) return true;
    if (isRunning(holder)) return false;
    throw new Error(tail(readFileSync(logFile, 'utf8').trim(), 5));
  });
}

/** Ends the namespaces and everything in them, and removes what they left on the host. */
export async function destroySandbox(
  settings: ClusterSettings,
  holder: ProcessName | undefined,
): Promise<void> {
  if (holder !== undefined) {
    kill(holder);
    await waitFor(`end of process ${holder.pid}`, 20_000, () => !isRunning(holder));
  }
  await waitFor('the cgroups of the node empty', 20_000, () => removeCgroups(settings.cgroup));
  // The kernel removes the link some time after the last process; a leftover is removed by hand.
  await run('ip', ['link', 'delete', settings.hostInterface]);
  await waitFor(`end of interface ${settings.hostInterface}`, 20_000, () => {
    return !existsSync(`/sys/class/net/${settings.hostInterface}`);
  });
}

/** Links the node to the host: the host reaches the node, its pods and its Services. */
export async function linkSandbox(settings: ClusterSettings, holder: ProcessName): Promise<void> {
  const { hostInterface, hostAddress, nodeAddress, ipv6 } = settings;
  const ip = (...args: string[]) => mustRun('ip', args);
  const inside = (...args: string[]) =>
    mustRun('nsenter', [`--net=/proc/${holder.pid}/ns/net`, 'ip', ...args]);
  const peer = ['peer', 'name', 'eth0', 'netns', String(holder.pid)];
  await ip('link', 'add', hostInterface, 'type', 'veth', ...peer);
  await ip('address', 'add', `${hostAddress}/30`, 'dev', hostInterface);
  await ip('address', 'add', `${ipv6.hostAddress}/64`, 'dev', hostInterface, 'nodad');
  await ip('link', 'set', hostInterface, 'up');
  await inside('address', 'add', `${nodeAddress}/30`, 'dev', 'eth0');
  await inside('address', 'add', `${ipv6.nodeAddress}/64`, 'dev', 'eth0', 'nodad');
  await inside('link', 'set', 'eth0', 'up');
  for (const plan of [settings, ipv6]) {
    await inside('route', 'add', 'default', 'via', plan.hostAddress);
    for (const range of [plan.clusterCidr, plan.serviceCidr]) {
      await ip('route', 'add', range, 'via', plan.nodeAddress);
    }
  }
}

/** Runs a program in the node's network, mount and process namespaces, to its end. */
export function runInside(
  holder: ProcessName,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return run('nsenter', [...namespaces(holder), processNamespace(holder), '--', ...args], options);
}

/**
 * Starts a program in the node's network and mount namespaces, such as tcpdump. It is a process of
 * the host, so signals reach it directly; its end is its starter's business.
 */
export function spawnInside(
  holder: ProcessName,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const env = programEnvironment();
  return spawn('nsenter', [...namespaces(holder), '--', ...args], { env, ...options });
}

function namespaces(holder: ProcessName): string[] {
  const of = (kind: string) => `/proc/${holder.pid}/ns/${kind}`;
  return [`--net=${of('net')}`, `--mount=${of('mnt')}`, `--uts=${of('uts')}`, `--ipc=${of('ipc')}`];
}

function processNamespace(holder: ProcessName): string {
  return `--pid=/proc/${holder.pid}/ns/pid_for_children`;
}

/** Removes the state folder, and the mount point that was made on the host. */
export function removeState(settings: ClusterSettings): void {
  if (existsSync(join(settings.state, 'made-var-lib-kubelet'))) {
    rmdirSync('/var/lib/kubelet');
  }
  rmSync(settings.state, { recursive: true, force: true, maxRetries: 3 });
}
