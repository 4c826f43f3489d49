// Calls from inside pods: the clients of the test application, run by kubectl exec in a pod's app container.
import type { GrpcAnswer, HttpAnswer, TcpAnswer } from '../apps/client.ts';
import type { HoldResult } from '../apps/hold.ts';
import type { LoadResult } from '../apps/load.ts';
import { podsOf } from './namespaces.ts';
import { kubectl, startKubectl } from './kubectl.ts';

/** Where calls come from: a pod of the echo server, by namespace and label `app`. */
export interface Caller {
  namespace: string;
  app: string;
}

/** kubectl's words that run the test application in the caller's pod. */
export async function execArgs(caller: Caller): Promise<string[]> {
  const [pod] = await podsOf(caller.namespace, `app=${caller.app}`);
  if (pod === undefined) throw new Error(`no pod with app=${caller.app} in ${caller.namespace}`);
  return ['exec', '-n', caller.namespace, pod.name, '-c', 'app', '--', 'node', '/app/main.mjs'];
}

/** Runs the test application once in the caller's pod, and answers what it printed. */
export async function execIn<T>(caller: Caller, args: string[]): Promise<T> {
  return JSON.parse(await kubectl(...(await execArgs(caller)), ...args)) as T;
}

export function http(caller: Caller, url: string, ...more: string[]): Promise<HttpAnswer> {
  return execIn<HttpAnswer>(caller, ['http', url, ...more]);
}

/** The echo server's answer to an HTTP call that must succeed. */
export async function echo(caller: Caller, url: string, ...more: string[]): Promise<EchoBody> {
  const answer = await http(caller, url, ...more);
  if (answer.status !== 200) throw new Error(`${url}: ${JSON.stringify(answer)}`);
  return JSON.parse(answer.body) as EchoBody;
}

export interface EchoBody {
  service: string;
  version: string;
  pod: string;
  method: string;
  path: string;
  headers: string[];
  caller: string | null;
  remoteAddress: string;
  localAddress: string;
  bodyBytes: number;
}

export function grpc(
  caller: Caller,
  target: string,
  method: string,
  text: string,
): Promise<GrpcAnswer> {
  return execIn<GrpcAnswer>(caller, ['grpc', target, method, text]);
}

export function tcp(caller: Caller, target: string, ...more: string[]): Promise<TcpAnswer> {
  return execIn<TcpAnswer>(caller, ['tcp', target, ...more]);
}

/** Holds one connection or stream open for so many seconds, a message each second. */
export function hold(
  caller: Caller,
  kind: 'tcp' | 'grpc',
  target: string,
  seconds: number,
): Promise<HoldResult> {
  return execIn<HoldResult>(caller, [`hold-${kind}`, target, '--seconds', String(seconds)]);
}

export interface RunningLoad {
  /** Resolves when the load has ended by itself. */
  result: Promise<LoadResult>;
}

/** Starts the load generator in a pod and returns once it is on its way. */
export async function startLoad(
  caller: Caller,
  url: string,
  ...options: string[]
): Promise<RunningLoad> {
  const child = await startKubectl(...(await execArgs(caller)), 'load', url, ...options);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
  const result = new Promise<LoadResult>((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(stdout) as LoadResult);
      else reject(new Error(`load ended with ${code}: ${stdout} ${stderr}`));
    });
  });
  // Awaited later; a failure before that must not count as unhandled.
  result.catch(() => undefined);
  return { result };
}

/** Runs the load generator to its end. */
export async function runLoad(
  caller: Caller,
  url: string,
  ...options: string[]
): Promise<LoadResult> {
  return await (
    await startLoad(caller, url, ...options)
  ).result;
}
