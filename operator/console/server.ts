// The console: what the operator knows, as JSON for the command line, and the dashboard that shows it. It listens on the loopback of its own pod only, so that
// whoever may port-forward to that pod may ask, and nobody else. It changes nothing.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { guardConnections } from '../../proxy/api/connection-guard.ts';
import { dashboardFiles } from '../dashboard/generated/files.ts';
import { graphAnswer, workloadAnswer } from '../telemetry/graph-answers.ts';
import type { GraphObserver } from '../telemetry/graph.ts';
import type {
  ConsoleIdentity,
  GraphAnswer,
  HoldingsAnswer,
  SidecarsAnswer,
  WorkloadAnswer,
} from './api.ts';

export interface ConsoleSources {
  identity(): ConsoleIdentity;
  sidecars(): SidecarsAnswer['sidecars'];
  holdings(): HoldingsAnswer['sidecars'];
  graph(): GraphObserver;
  /** Of `shop/Deployment/cart`. */
  policies(workload: string): WorkloadAnswer['policies'];
  wallTimeMs(): number;
  nowMs(): number;
}

export interface ConsoleServer {
  /** Resolves with the port in use. */
  listen(port: number): Promise<number>;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  body: unknown;
  /** The body is a file of the dashboard of this media type, no JSON. */
  type?: string;
}

/** Everything comes from here, and nothing that is not in these files runs or is shown in a frame. */
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Some people with a page each. */
const maxConnections = 64;

export function createConsoleServer(sources: ConsoleSources): ConsoleServer {
  const server = http.createServer((request, response) => {
    const { status, body, type } = answer(sources, request);
    response.writeHead(status, {
      'content-type': type ?? 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': pagePolicy,
    });
    response.end(type === undefined ? `${JSON.stringify(body)}\n` : body);
  });
  guardConnections(
    server,
    { total: maxConnections },
    { nowMs: () => sources.nowMs(), onRefused: () => undefined },
  );
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  return {
    listen(port) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
      });
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function answer(sources: ConsoleSources, request: http.IncomingMessage): Answer {
  const refusal = refusalOf(request);
  if (refusal !== null) return refusal;
  const operator = sources.identity();
  const path = request.url?.split('?')[0] ?? '';
  const file = Object.hasOwn(dashboardFiles, path) ? dashboardFiles[path] : undefined;
  if (file !== undefined) return { status: 200, ...file };
  switch (path) {
    case '/api/operator':
      return { status: 200, body: operator };
    case '/api/sidecars': {
      if (!operator.leading) return notLeading(operator);
      const body: SidecarsAnswer = {
        operator,
        atMs: sources.wallTimeMs(),
        sidecars: sources.sidecars(),
      };
      return { status: 200, body };
    }
    case '/api/holdings': {
      if (!operator.leading) return notLeading(operator);
      const body: HoldingsAnswer = { operator, sidecars: sources.holdings() };
      return { status: 200, body };
    }
    default:
      return trafficAnswer(sources, operator, request.url ?? '/');
  }
}

function trafficAnswer(sources: ConsoleSources, operator: ConsoleIdentity, target: string): Answer {
  const [path = '', query = ''] = target.split('?');
  const workload = /^\/api\/workloads\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path)?.slice(1);
  if (path !== '/api/graph' && workload === undefined) {
    return { status: 404, body: { error: 'no such path' } };
  }
  if (!operator.leading) return notLeading(operator);
  const graph = sources.graph();
  const sidecars = sources.sidecars();
  const atMs = sources.wallTimeMs();
  if (workload === undefined) {
    const namespace = new URLSearchParams(query).get('namespace') ?? '';
    const body: GraphAnswer = { operator, atMs, ...graphAnswer(graph, sidecars, namespace) };
    return { status: 200, body };
  }
  const name = workload.map(unescaped).join('/');
  const found = workloadAnswer(graph, sidecars, name);
  if (found === null) return { status: 404, body: { error: `no workload ${name}` } };
  const body: WorkloadAnswer = { operator, atMs, ...found, policies: sources.policies(name) };
  return { status: 200, body };
}

/** A text that is escaped wrongly names nothing. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function notLeading({ replica }: ConsoleIdentity): Answer {
  return {
    status: 409,
    body: { error: `${replica} does not lead: it knows its own sidecars only` },
  };
}

/**
 * A port-forward opens the port on somebody's own machine, where pages of other origins can reach it too: they cannot say that the
 * host is the loopback (a name that resolves to it, "DNS rebinding"), nor leave out who they are.
 */
function refusalOf({ method, headers }: http.IncomingMessage): Answer | null {
  if (method !== 'GET') return { status: 405, body: { error: 'only GET' } };
  if (!isLoopback(headers.host))
    return { status: 403, body: { error: 'the host must be localhost' } };
  const { origin } = headers;
  if (origin !== undefined && origin !== `http://${headers.host}`)
    return { status: 403, body: { error: 'not for pages of other origins' } };
  return null;
}

function isLoopback(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(host);
}
