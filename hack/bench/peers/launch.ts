// Starts proxies, apps and load generators so that none outlives the benchmark, even when it is killed:
// the kernel ends each of them with the process that started it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { ProxyCommand } from './peer.ts';

export interface Running {
  readonly pid: number;
  /** Milliseconds from the start of the process until it was ready. */
  readonly readyMs: number;
  close(): Promise<void>;
}

/** setpriv asks for the signal (PR_SET_PDEATHSIG) and becomes the program: the process id stays the same. */
export function withParent(program: string, args: readonly string[]): [string, string[]] {
  return ['/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', program, ...args]];
}

/** Waits until it is ready; a process that ends before is an error in its own words. */
export async function launch(command: ProxyCommand): Promise<Running> {
  const started = performance.now();
  const [program, args] = withParent(command.program, command.args);
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...command.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)));
  const close = () => end(child);
  const deadline = started + 20_000;
  while (!(await isReady(command.ready))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${command.program} ended at its start: ${words}`);
    }
    if (performance.now() > deadline) {
      await close();
      throw new Error(`${command.program}: not ready within 20 s: ${words}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  return { pid: child.pid ?? 0, readyMs: performance.now() - started, close };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 3000);
  await gone;
  clearTimeout(late);
}

async function isReady(ready: ProxyCommand['ready']): Promise<boolean> {
  if ('port' in ready) return await accepts(ready.port);
  const answer = await fetch(ready.url, { headers: { connection: 'close' } }).catch(() => null);
  await answer?.arrayBuffer();
  return answer?.status === 200;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
