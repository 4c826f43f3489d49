// Network namespaces for tests: a pod and its peer joined by a veth pair, both families. Everything is
// named `tsmesh-t-…` and removed before and after.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const prefix = 'tsmesh-t-';
export const pod = `${prefix}pod`;
export const peer = `${prefix}peer`;

export const addresses = {
  pod4: '10.77.0.2',
  peer4: '10.77.0.1',
  pod6: 'fd77::2',
  peer6: 'fd77::1',
  /** Further addresses of the peer, in prefixes that tests exclude. */
  excluded4: '10.78.0.1',
  excluded6: 'fd78::1',
} as const;

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

export function run(command: readonly string[], env: Record<string, string> = {}): Finished {
  const [program, ...args] = command as [string, ...string[]];
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, ...env },
  });
  if (result.error !== undefined) throw result.error;
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** Throws what the command said where it failed. */
export function must(command: readonly string[]): string {
  const result = run(command);
  if (result.status !== 0) throw new Error(`${command.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

export function inside(namespace: string, command: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', namespace, ...command];
}

export function removeNamespaces(): void {
  const names = must(['ip', 'netns', 'list']).split('\n');
  for (const line of names) {
    const name = line.split(' ')[0]!;
    if (name.startsWith(prefix)) must(['ip', 'netns', 'delete', name]);
  }
}

export function createNamespaces(): void {
  removeNamespaces();
  const ip = (namespace: string, ...args: string[]): string =>
    must(['ip', '-n', namespace, ...args]);
  for (const name of [pod, peer]) must(['ip', 'netns', 'add', name]);
  must(['ip', 'link', 'add', 'eth0', 'netns', pod, 'type', 'veth', 'peer', 'eth0', 'netns', peer]);
  for (const name of [pod, peer]) {
    ip(name, 'link', 'set', 'lo', 'up');
    ip(name, 'link', 'set', 'eth0', 'up');
  }
  const add = (name: string, address: string): string =>
    ip(name, 'addr', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
  add(pod, `${addresses.pod4}/24`);
  add(pod, `${addresses.pod6}/64`);
  add(peer, `${addresses.peer4}/24`);
  add(peer, `${addresses.peer6}/64`);
  add(peer, `${addresses.excluded4}/24`);
  add(peer, `${addresses.excluded6}/64`);
  ip(pod, 'route', 'add', 'default', 'via', addresses.peer4);
  ip(pod, '-6', 'route', 'add', 'default', 'via', addresses.peer6);
}

/** Starts `answer.ts` in the namespace; resolves once it listens. */
export async function startAnswering(namespace: string, ports: string[]): Promise<ChildProcess> {
  const script = `${import.meta.dirname}/answer.ts`;
  const [program, ...args] = inside(namespace, [process.execPath, script, ...ports]);
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the listener ended at once'))),
  ]);
  return child;
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

export interface CallOptions {
  uid?: number;
  gid?: number;
}

/** Connects as the given user and returns the line that comes back, or why none came. */
export function call(
  namespace: string,
  address: string,
  port: number,
  options: CallOptions = {},
): string {
  const { uid = 1000, gid = 1000 } = options;
  const script = `exec 3<>/dev/tcp/${address}/${port} && cat <&3`;
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const result = run(inside(namespace, [...user, 'timeout', '5', 'bash', '-c', script]));
  return result.status === 0 ? result.stdout.trim() : `failed: ${result.stderr.trim()}`;
}
