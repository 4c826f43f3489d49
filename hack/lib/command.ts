// Runs programs for the tools in hack/: to completion, with their output captured or passed on.
// It is not a shell: arguments are never interpreted.
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Text, or the path of a file, that the program reads from its standard input. */
  readonly stdin?: { readonly text: string } | { readonly file: string };
  /** Passes the output through to this process's standard error as well. */
  readonly echo?: boolean;
  readonly timeoutMs?: number;
  /** Hears each line of standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Never throws for its exit code; a program that cannot be started has code 127. */
export function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: { ...programEnvironment(), ...options.env },
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => collect(stdout, chunk, options.echo));
    child.stderr?.on('data', (chunk: Buffer) => collect(stderr, chunk, options.echo));
    if (options.onErrorLine !== undefined && child.stderr !== null) {
      createInterface({ input: child.stderr }).on('line', options.onErrorLine);
    }
    child.on('error', (error) => resolve({ code: 127, stdout: '', stderr: error.message }));
    child.on('close', (code, signal) => {
      const ended = signal === null ? '' : `\nended by ${signal}`;
      resolve({
        code: code ?? 128,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString() + ended,
      });
    });
    feed(child.stdin, options.stdin);
  });
}

/** Like run, but an exit code other than 0 is an error that carries the program's own words. */
export async function mustRun(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await run(command, args, options);
  if (result.code === 0) return result.stdout;
  const words = tail(`${result.stdout}\n${result.stderr}`.trim(), 40);
  throw new Error(`${command} ${args.join(' ').slice(0, 300)}: exit code ${result.code}\n${words}`);
}

/** This process's environment, with the folders of ip and iptables, which not every root has in its path. */
export function programEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` };
}

/** The last lines of a text. */
export function tail(text: string, lines: number): string {
  return text.split('\n').slice(-lines).join('\n');
}

function collect(into: Buffer[], chunk: Buffer, echo: boolean | undefined): void {
  into.push(chunk);
  if (echo === true) process.stderr.write(chunk);
}

function feed(stdin: NodeJS.WritableStream | null, source: CommandOptions['stdin']): void {
  if (stdin === null || source === undefined) return;
  // A program may end without reading all it is given; its exit code tells, not the broken pipe.
  stdin.on('error', () => undefined);
  if ('text' in source) stdin.end(source.text);
  else createReadStream(source.file).pipe(stdin);
}
