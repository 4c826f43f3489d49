// kubectl against the embedded cluster, for tests: words in, text or objects out.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mustRun, run, type CommandResult } from '../../hack/lib/command.ts';
import { runningCluster, type Cluster } from '../../hack/cluster/cluster.ts';

let found: Promise<Cluster> | undefined;

/** The cluster that the test command brought up; an error says how to have one. */
export function cluster(): Promise<Cluster> {
  found ??= runningCluster().then((running) => {
    if (running === undefined) {
      throw new Error('no cluster runs; the fix: npm run demo, or node hack/cluster/cli.ts up');
    }
    return running;
  });
  return found;
}

async function withKubeconfig(args: readonly string[]): Promise<[string, string[]]> {
  const { kubectl: program, kubeconfig } = await cluster();
  return [program, ['--kubeconfig', kubeconfig, ...args]];
}

/** Runs kubectl; rejects with its own words when it fails. */
export async function kubectl(...args: string[]): Promise<string> {
  const [program, all] = await withKubeconfig(args);
  return await mustRun(program, all);
}

/** Runs kubectl and answers its exit code and output, whatever they are. */
export async function tryKubectl(args: string[], stdin?: string): Promise<CommandResult> {
  const [program, all] = await withKubeconfig(args);
  return await run(program, all, stdin === undefined ? {} : { stdin: { text: stdin } });
}

export async function getJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await kubectl('get', ...args, '-o', 'json')) as T;
}

/** Applies YAML; rejects with the API server's words. */
export async function apply(yaml: string): Promise<string> {
  const [program, all] = await withKubeconfig(['apply', '-f', '-']);
  const stdin = { text: yaml };
  const first = await run(program, all, { stdin });
  if (first.code === 0) return first.stdout;
  // Two that apply the same new object at once: for one of them it is there by now.
  if (first.stderr.includes('(AlreadyExists)')) return await mustRun(program, all, { stdin });
  throw new Error(first.stderr);
}

/** Applies YAML that must be refused and answers the words of the refusal. */
export async function applyRefused(yaml: string): Promise<string> {
  const result = await tryKubectl(['apply', '-f', '-'], yaml);
  if (result.code === 0) throw new Error(`not refused:\n${yaml}\n${result.stdout}`);
  return result.stderr;
}

/** Starts kubectl and leaves it running; the caller ends it. */
export async function startKubectl(...args: string[]): Promise<ChildProcess> {
  const [program, all] = await withKubeconfig(args);
  return spawn(program, all, { stdio: ['ignore', 'pipe', 'pipe'] });
}
