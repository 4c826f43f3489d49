// The admin interface: HTTP on a Unix socket of mode 0600, reached by `kubectl exec`. Shows what is in
// force, changes the log level, takes profiles. Never shows a key.

import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { LogLevel } from '../errors.ts';
import type { IdentityStore } from '../identity/store.ts';
import type { Store } from '../state/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { mergedConnections, mergedEndpoints, type ThreadView } from './inspect.ts';
import { recordProfile, type ProfileKind } from './profile.ts';
import type { createTaps } from './tap.ts';

export interface AdminDeps {
  path: string;
  store: Pick<Store, 'snapshot' | 'resources'>;
  identity: IdentityStore;
  logger: Logger;
  /** Listen addresses, discovery, readiness and drain, in one view. */
  status(): unknown;
  /** Numbers of open connections and pools. */
  connections(): unknown;
  /** Of the main thread. */
  view: () => ThreadView;
  /** Null where the main thread is the only one. */
  workers: Workers | null;
  /** Live requests, as long as the reader stays. */
  taps: ReturnType<typeof createTaps>;
}

/** The threads beside the main one, numbered from 1. Null: there is no such worker. */
export interface Workers {
  setLogLevel(level: LogLevel): void;
  inspect(): Promise<ThreadView[]>;
  profile(worker: number, kind: ProfileKind, seconds: number): Promise<unknown> | null;
  heapSnapshot(worker: number): Promise<Readable> | null;
}

export interface AdminServer {
  close(): void;
}

interface Call {
  query: URLSearchParams;
  response: ServerResponse;
  under: UnderWay;
}

/** What is made one at a time. */
interface UnderWay {
  snapshot: boolean;
}

type Handler = (deps: AdminDeps, call: Call) => unknown;

const levels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];
const maxProfileSeconds = 60;

const handlers: Record<string, Handler> = {
  'GET /': () => ({ paths: Object.keys(handlers) }),
  'GET /status': (deps) => deps.status(),
  'GET /config': (deps) => ({ resources: deps.store.resources() }),
  'GET /connections': (deps) => deps.connections(),
  'GET /endpoints': async (deps) => ({ sets: mergedEndpoints(await threadViews(deps)) }),
  'GET /connections/list': async (deps) => mergedConnections(await threadViews(deps)),
  'GET /event-loop': async (deps) => eventLoops(await threadViews(deps)),
  'GET /mtls': (deps) => mtlsModes(deps),
  'GET /authorization': (deps) => policiesInForce(deps),
  'GET /identity': (deps) => identityView(deps.identity),
  'GET /log-level': (deps) => ({ level: deps.logger.level() }),
  'PUT /log-level': (deps, call) => changeLevel(deps, call),
  'GET /tap': (deps, call) => watch(deps, call),
  'POST /profile/cpu': (deps, call) => profile(deps, call, 'cpu'),
  'POST /profile/allocations': (deps, call) => profile(deps, call, 'allocations'),
  'POST /profile/heap': (deps, call) => heapSnapshot(deps, call),
};

export async function startAdminServer(deps: AdminDeps): Promise<AdminServer> {
  const under: UnderWay = { snapshot: false };
  const server = createServer((request, response) => {
    handle(deps, request, { response, under }).catch((error: Error) => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: error.message });
    });
  });
  server.maxConnections = 16;
  // Of an earlier process of this pod.
  await rm(deps.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(deps.path, resolve);
  });
  await chmod(deps.path, 0o600);
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function handle(
  deps: AdminDeps,
  request: IncomingMessage,
  { response, under }: Omit<Call, 'query'>,
): Promise<void> {
  request.resume();
  const url = new URL(request.url ?? '/', 'http://admin');
  const handler = handlers[`${request.method} ${url.pathname}`];
  if (handler === undefined) {
    return sendJson(response, 404, { error: 'no such path', paths: Object.keys(handlers) });
  }
  const result = await handler(deps, { query: url.searchParams, response, under });
  if (!response.headersSent) sendJson(response, 200, result);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = `${JSON.stringify(value, null, 2)}\n`;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body);
}

/** The mode in force by port, with the policy that decided it. */
function mtlsModes(deps: AdminDeps): unknown {
  const { workload } = deps.store.snapshot();
  if (workload === null) return { error: 'no configuration held yet' };
  const ports = [...workload.ports].map(([port, { mtls, decidedBy, protocol }]) => ({
    port: String(port),
    mtls,
    decidedBy,
    protocol,
  }));
  const { mtls, decidedBy, protocol } = workload.otherPort;
  return { ports: [...ports, { port: 'other', mtls, decidedBy, protocol }] };
}

/** What decides who may call, in the order of deciding; the rules themselves stand in /config. */
function policiesInForce(deps: AdminDeps): unknown {
  const { workload } = deps.store.snapshot();
  if (workload === null) return { error: 'no configuration held yet' };
  const { authorization } = workload;
  const policies = (authorization?.policies ?? []).map(({ name, action, dryRun, rules }) => ({
    name,
    action,
    dryRun,
    rules: rules.length,
  }));
  return { policies, ambiguousPaths: authorization?.ambiguousPaths ?? 'allReadings' };
}

async function threadViews({ view, workers }: AdminDeps): Promise<ThreadView[]> {
  return [view(), ...((await workers?.inspect()) ?? [])];
}

/** How late each thread was in the last minute, in milliseconds. */
function eventLoops(threads: readonly ThreadView[]): unknown {
  return Object.fromEntries(threads.map(({ eventLoop }, index) => [`thread ${index}`, eventLoop]));
}

function identityView(store: IdentityStore): unknown {
  const identity = store.current();
  if (identity === null) return { identity: null };
  const { spiffeId, serial, notBeforeMs, notAfterMs, rootsNotAfterMs, generation } = identity;
  const time = (ms: number): string => new Date(ms).toISOString();
  return {
    spiffeId,
    serial,
    generation,
    notBefore: time(notBeforeMs),
    notAfter: time(notAfterMs),
    rootsNotAfter: time(rootsNotAfterMs),
    chain: identity.chain ?? [],
    rootsPem: identity.rootsPem,
  };
}

function watch({ taps }: AdminDeps, { query, response }: Call): undefined {
  const refused = taps(query, response);
  if (refused !== null) sendJson(response, refused.status, { error: refused.error });
}

function changeLevel(deps: AdminDeps, { query, response }: Call): unknown {
  const level = levels.find((one) => one === query.get('level'));
  if (level === undefined) {
    sendJson(response, 400, { error: `level must be one of: ${levels.join(', ')}` });
    return undefined;
  }
  deps.logger.setLevel(level);
  deps.workers?.setLogLevel(level);
  return { level };
}

async function profile(
  deps: AdminDeps,
  { query, response }: Call,
  kind: ProfileKind,
): Promise<unknown> {
  const seconds = Number(query.get('seconds') ?? '5');
  if (!(seconds > 0 && seconds <= maxProfileSeconds)) {
    sendJson(response, 400, { error: `seconds must be above 0 and at most ${maxProfileSeconds}` });
    return undefined;
  }
  const worker = Number(query.get('worker') ?? '0');
  if (worker === 0) return recordProfile(kind, seconds);
  return deps.workers?.profile(worker, kind, seconds) ?? noSuchWorker(response);
}

/** What making a snapshot takes beside the heap, measured with 10 to 30 MiB of small objects. */
const snapshotFactor = 13;

async function heapSnapshot(deps: AdminDeps, { query, response, under }: Call): Promise<undefined> {
  const worker = Number(query.get('worker') ?? '0');
  const refusal = snapshotRefusal(under);
  if (refusal !== null) {
    sendJson(response, 503, { error: refusal });
    return undefined;
  }
  const snapshot = worker === 0 ? ownHeapSnapshot() : deps.workers?.heapSnapshot(worker);
  if (snapshot == null) return noSuchWorker(response);
  under.snapshot = true;
  try {
    const content = await snapshot;
    response.writeHead(200, { 'content-type': 'application/json' });
    await pipeline(content, response);
  } finally {
    under.snapshot = false;
  }
}

/** Null: it may be made. Where the container has a limit, running into it would end the sidecar. */
function snapshotRefusal(under: UnderWay): string | null {
  if (under.snapshot) return 'a heap snapshot is being made already';
  const { heapUsed, rss } = process.memoryUsage();
  const limit = process.constrainedMemory();
  const needed = snapshotFactor * heapUsed;
  // Without a limit Node answers 0, or more than any machine has.
  if (limit === 0 || rss + needed <= limit) return null;
  const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;
  return `a snapshot may take ${mib(needed)}, and of its limit of ${mib(limit)} the container has ${mib(Math.max(0, limit - rss))} left: ask for /profile/allocations, or raise the limit (annotation tsmesh.dev/proxy-memory-limit)`;
}

async function ownHeapSnapshot(): Promise<Readable> {
  const { getHeapSnapshot } = await import('node:v8');
  return getHeapSnapshot();
}

function noSuchWorker(response: ServerResponse): undefined {
  sendJson(response, 400, {
    error: 'worker must be 0 (the main thread) or the number of a worker',
  });
}
