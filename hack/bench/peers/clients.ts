// The load generators: one run each, with the figures that it saw.
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { mustRun, type CommandOptions } from '../../lib/command.ts';
import { parseFortio, parseH2load, parseWrk, type H2loadSeen, type Seen } from './generators.ts';
import { withParent } from './launch.ts';
import type { Tools } from './tools.ts';

export interface ClosedLoop {
  readonly connections: number;
  readonly seconds: number;
  /** POST with a body of so many bytes. */
  readonly bodyBytes?: number;
}

/** As fast as it goes, with paths and headers that vary. */
export async function wrk(tools: Tools, port: number, load: ClosedLoop): Promise<Seen> {
  const { connections, seconds, bodyBytes = 0 } = load;
  const script = fileURLToPath(new URL('wrk.lua', import.meta.url));
  const size = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s'];
  const env = { BENCH_METHOD: bodyBytes > 0 ? 'POST' : 'GET', BENCH_BODY: String(bodyBytes) };
  const args = [...size, '-s', script, `http://127.0.0.1:${port}/`];
  return parseWrk(await generate(tools.wrk, args, { env }));
}

export interface FixedRate {
  readonly connections: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Spread evenly; else all connections send at one instant, as fortio does by default. */
  readonly even: boolean;
}

export async function fortio(tools: Tools, port: number, load: FixedRate): Promise<Seen> {
  const { connections, seconds, perSecond, even } = load;
  // Latencies in steps of 10 µs, where fortio's default is 1 ms.
  const pace = [...(even ? ['-uniform'] : []), '-r', '0.00001', '-qps', String(perSecond)];
  const size = ['-c', String(connections), '-t', `${seconds}s`];
  const output = ['-quiet', '-json', '-', '-p', '50,99'];
  const token = 'Authorization: Bearer 5f3c1b7a9d2e4860';
  const headers = ['-H', token, '-H', 'Accept: application/json'];
  // fortio puts another value into the path each time, but not into headers.
  const url = `http://127.0.0.1:${port}/api/v1/items/{uuid}?page=7`;
  return parseFortio(
    await generate(tools.fortio, ['load', ...pace, ...size, ...output, ...headers, url]),
  );
}

export interface Calls {
  /** Files: the body to send, and where h2load writes a line per request. */
  readonly body: string;
  readonly log: string;
  readonly streams: number;
  readonly seconds: number;
}

/** gRPC calls of fortio's Ping over one h2c connection. */
export async function h2load(tools: Tools, port: number, load: Calls): Promise<H2loadSeen> {
  const { body, log, streams, seconds } = load;
  rmSync(log, { force: true });
  const size = ['-c', '1', '-t', '1', '-m', String(streams), '-D', String(seconds)];
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const url = `http://127.0.0.1:${port}/fgrpc.PingServer/Ping`;
  const args = [...size, '-d', body, `--log-file=${log}`, ...headers, url];
  const output = await generate(tools.h2load, args);
  return parseH2load(output, readFileSync(log, 'latin1'));
}

async function generate(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const [wrapped, rest] = withParent(program, args);
  return await mustRun(wrapped, rest, { timeoutMs: 120_000, ...options });
}
