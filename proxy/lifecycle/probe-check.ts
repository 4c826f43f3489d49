// Performs the original of a rewritten probe against the app, as the kubelet would (pkg/probe): HTTP(S)
// without certificate checks and with redirects on the same host, TCP connect, gRPC health. One call is
// one check.

import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect as connectTcp } from 'node:net';
import type { RewrittenProbe } from '../api/bootstrap.ts';
import { checkGrpcHealth } from './grpc-health.ts';

export interface ProbeResult {
  /** What the kubelet gets: the app's own status for HTTP, else 200 or 503; 504 for a time-out. */
  status: number;
  body: string;
}

type HttpCheck = Extract<RewrittenProbe['check'], { type: 'http' }>;

export interface ProbeContext {
  /** Where the kubelet would have connected: the pod's own address. */
  defaultHost: string;
  /** Of the kubelet's request; passed on where the probe sets no other. */
  userAgent: string;
}

/** The kubelet shows as much of a body (maxRespBodyLength). */
const maxBodyBytes = 10 << 10;
/** As net/http's client. */
const maxRedirects = 10;

export async function performProbe(
  probe: RewrittenProbe,
  context: ProbeContext,
): Promise<ProbeResult> {
  const signal = AbortSignal.timeout(Math.max(probe.timeoutSeconds, 1) * 1000);
  try {
    return await perform(probe, context, signal);
  } catch (error) {
    if (signal.aborted) {
      return { status: 504, body: `no answer from the app within ${probe.timeoutSeconds} s` };
    }
    return { status: 503, body: (error as Error).message };
  }
}

async function perform(
  probe: RewrittenProbe,
  context: ProbeContext,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { check } = probe;
  switch (check.type) {
    case 'tcp':
      await connectOnce(check.host || context.defaultHost, check.port, signal);
      return { status: 200, body: 'connected' };
    case 'grpc':
      return checkGrpcHealth({ ...check, host: context.defaultHost, signal });
    case 'http':
      return performHttp(check, context, signal);
  }
}

function connectOnce(host: string, port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port, signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
}

async function performHttp(
  check: HttpCheck,
  context: ProbeContext,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const host = check.host || context.defaultHost;
  const authority = host.includes(':') ? `[${host}]` : host;
  let url = new URL(`${check.scheme}://${authority}:${check.port}${check.path}`);
  for (let hop = 0; hop <= maxRedirects; hop += 1) {
    const response = await get(url, headersOf(check, context), signal);
    const status = response.statusCode ?? 0;
    const next = redirectTarget(response, url);
    if (next === null) return { status, body: await readBody(response) };
    response.resume();
    // A redirect away from the host is a success with a warning (pkg/probe/http).
    if (next.hostname !== url.hostname) return { status: 200, body: `redirected to ${next.host}` };
    url = next;
  }
  return { status: 503, body: `more than ${maxRedirects} redirects` };
}

function headersOf(check: HttpCheck, context: ProbeContext): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {
    'user-agent': context.userAgent,
    accept: '*/*',
    connection: 'close',
  };
  const given = new Map<string, string[]>();
  for (const { name, value } of check.headers) {
    const key = name.toLowerCase();
    given.set(key, [...(given.get(key) ?? []), value]);
  }
  for (const [name, values] of given) headers[name] = name === 'host' ? values[0]! : values;
  return headers;
}

async function get(
  url: URL,
  headers: Record<string, string | string[]>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  // HTTPS probes are rare: what they need is loaded with the first one.
  const request = url.protocol === 'https:' ? (await import('node:https')).request : httpRequest;
  const options: RequestOptions & { rejectUnauthorized: boolean } = {
    method: 'GET',
    headers,
    agent: false,
    signal,
    rejectUnauthorized: false,
  };
  return new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end();
  });
}

function redirectTarget(response: IncomingMessage, from: URL): URL | null {
  const { location } = response.headers;
  const status = response.statusCode ?? 0;
  const redirects = [301, 302, 303, 307, 308].includes(status);
  if (!redirects || location === undefined || !URL.canParse(location, from)) return null;
  return new URL(location, from);
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= maxBodyBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, maxBodyBytes);
}
