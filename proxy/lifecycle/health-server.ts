// Port 15020: readiness, metrics, rewritten probes and the drain hooks. For the kubelet and Prometheus;
// not on any request's path, hence node:http. What the answers say is decided elsewhere.
//
// Whoever reaches the pod reaches this port: it is not captured, so that the kubelet needs no certificate.
// Only what reads is therefore open to all. The drain hooks, which take the pod out of service, need the
// pod's token in their path. Rewritten hooks of the user (`/probe/<container>/postStart` and `…/preStop`)
// make the sidecar call the app for anyone who asks, STRICT or not; so could anyone at the app's own port
// before the pod was meshed, and the call is the one fixed in the pod, so they stay open like the probes.

import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { guardConnections } from '../api/connection-guard.ts';
import {
  drainHookPath,
  drainStartPath,
  hookPath,
  metricsPath,
  readyPath,
  type RewrittenProbe,
} from '../api/bootstrap.ts';
import { contentTypes, endMark, wantedFormat, type ExpositionFormat } from '../api/exposition.ts';
import type { Drain } from './drain.ts';
import { performProbe } from './probe-check.ts';
import type { Readiness } from './readiness.ts';
import { Untaken } from './untaken.ts';

export interface HealthDeps {
  host: string;
  port: number;
  readiness: Readiness;
  drain: Drain;
  /** In this format where all of it can be had in it. */
  metrics(wanted: ExpositionFormat): MetricsAnswer | Promise<MetricsAnswer>;
  /** Null: there are no drain hooks. */
  hookToken: string | null;
  probes: readonly RewrittenProbe[];
  /** Where probes that name no host connect. */
  probeHost: string;
  nowMs: () => number;
  /** For the one who asked to take the answer, or some more of it. */
  takeTimeoutMs?: number;
}

export interface MetricsAnswer {
  /** Without an end mark. */
  text: string;
  format: ExpositionFormat;
}

export interface HealthServer {
  address: AddressInfo;
  close(): void;
}

/** Probes, scrapes and hooks of one pod are few. The kubelet gets its share whoever takes all the others. */
const maxConnections = 256;
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 10_000;
const defaultTakeTimeoutMs = 10_000;
/** How often Node looks for requests that are too slow. */
const checkIntervalMs = 1_000;

/** Full paths of the drain hooks. */
interface Hooks {
  start: Buffer;
  finish: Buffer;
}

interface Served {
  deps: HealthDeps;
  hooks: Hooks | null;
  probes: ReadonlyMap<string, RewrittenProbe>;
  untaken: Untaken;
}

interface Answer {
  status: number;
  type: string;
  body: string;
}

export async function startHealthServer(deps: HealthDeps): Promise<HealthServer> {
  const probes = new Map(deps.probes.map((probe) => [probe.path, probe]));
  const hooks = deps.hookToken === null ? null : hooksOf(deps.hookToken);
  const options = { connectionsCheckingInterval: checkIntervalMs };
  const served: Served = { deps, hooks, probes, untaken: new Untaken() };
  const server = createServer(options, (request, response) => {
    answer(served, request).then(
      (result) => send(served, response, result),
      (error: Error) => send(served, response, text(500, error.message)),
    );
  });
  guardConnections(
    server,
    { total: maxConnections },
    { nowMs: deps.nowMs, onRefused: () => undefined },
  );
  server.headersTimeout = headersTimeoutMs;
  server.requestTimeout = requestTimeoutMs;
  const address = await listen(server, deps.host, deps.port);
  return {
    address,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function hooksOf(token: string): Hooks {
  return {
    start: Buffer.from(hookPath(drainStartPath, token)),
    finish: Buffer.from(hookPath(drainHookPath, token)),
  };
}

/** Null where the path is no hook of this pod. */
function hookOf(hooks: Hooks | null, path: string): keyof Hooks | null {
  if (hooks === null) return null;
  const given = Buffer.from(path);
  if (isSame(given, hooks.start)) return 'start';
  return isSame(given, hooks.finish) ? 'finish' : null;
}

async function runHook(drain: Drain, hook: keyof Hooks): Promise<Answer> {
  if (hook === 'start') {
    drain.start('preStop of the sidecar');
    return text(200, 'draining');
  }
  await drain.finished('preStop of an app container');
  return text(200, 'drained');
}

/** Takes as long wherever they differ, so that nobody can find a token digit by digit. */
function isSame(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function answer({ deps, hooks, probes }: Served, request: IncomingMessage): Promise<Answer> {
  request.resume();
  const path = (request.url ?? '/').split('?', 1)[0]!;
  const hook = hookOf(hooks, path);
  if (hook !== null) return runHook(deps.drain, hook);
  switch (path) {
    case readyPath:
      return readiness(deps.readiness);
    case metricsPath:
      return metricsAnswer(await deps.metrics(wantedFormat(request.headers.accept)));
    default:
      return probe(deps, probes.get(path), request);
  }
}

function metricsAnswer({ text: body, format }: MetricsAnswer): Answer {
  return { status: 200, type: contentTypes[format], body: body + endMark(format) };
}

function readiness(state: Readiness): Answer {
  const pending = state.pending();
  if (Object.keys(pending).length === 0) return text(200, 'ready');
  return { status: 503, type: 'application/json', body: JSON.stringify({ pending }) };
}

async function probe(
  deps: HealthDeps,
  found: RewrittenProbe | undefined,
  request: IncomingMessage,
): Promise<Answer> {
  if (found === undefined) return text(404, 'no such path on the health port of tsmesh');
  const result = await performProbe(found, {
    defaultHost: deps.probeHost,
    userAgent: request.headers['user-agent'] ?? 'kube-probe/tsmesh',
  });
  return text(result.status, result.body);
}

function text(status: number, body: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body };
}

function send(served: Served, response: ServerResponse, wanted: Answer): void {
  const { socket } = response.req;
  // Who asked is gone, and nothing would tell that a second time.
  if (socket.destroyed) return;
  const { deps, untaken } = served;
  const hasRoom = untaken.hasRoomFor(Buffer.byteLength(wanted.body));
  const { status, type, body } = hasRoom ? wanted : text(503, 'too much is being answered already');
  const bytes = Buffer.byteLength(body);
  response.once('close', untaken.add(socket, bytes));
  response.setTimeout(deps.takeTimeoutMs ?? defaultTakeTimeoutMs, () => socket.destroy());
  response.writeHead(status, { 'content-type': type, 'content-length': bytes });
  response.end(body);
}

/** `::` where the machine has IPv6, else all of IPv4. */
async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    return await listenOn(server, host, port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    return await listenOn(server, '0.0.0.0', port);
  }
}

function listenOn(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}
