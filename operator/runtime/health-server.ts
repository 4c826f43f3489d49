// Plain HTTP for the kubelet and for Prometheus: /healthz, /readyz, /metrics. Nothing else, and nothing
// secret.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { guardConnections } from '../../proxy/api/connection-guard.ts';

export interface HealthSources {
  /** What readiness still waits for; empty: ready. */
  missing: () => string[];
  /** Prometheus text. */
  metrics: () => string;
  nowMs: () => number;
}

/** The kubelet and some scrapers; nobody else who reaches the port shall keep them out. */
const maxConnections = 64;
/** How often Node looks for requests that are too slow. */
const checkIntervalMs = 1_000;

export interface HealthServer {
  listen(port: number): Promise<number>;
  close(): Promise<void>;
}

export function createHealthServer(sources: HealthSources): HealthServer {
  const options = { connectionsCheckingInterval: checkIntervalMs };
  const server = http.createServer(options, (request, response) => {
    const { status, type, body } = answer(sources, request.url ?? '/');
    response.writeHead(status, { 'content-type': type });
    response.end(body);
  });
  guardConnections(
    server,
    { total: maxConnections },
    { nowMs: sources.nowMs, onRefused: () => undefined },
  );
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  return {
    listen(port) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, () => resolve((server.address() as AddressInfo).port));
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

function answer(sources: HealthSources, url: string) {
  const text = 'text/plain; charset=utf-8';
  switch (url.split('?')[0]) {
    case '/healthz':
      return { status: 200, type: text, body: 'ok\n' };
    case '/readyz': {
      const missing = sources.missing();
      if (missing.length === 0) return { status: 200, type: text, body: 'ok\n' };
      return { status: 503, type: text, body: `waiting for: ${missing.join(', ')}\n` };
    }
    case '/metrics':
      return { status: 200, type: 'text/plain; version=0.0.4', body: sources.metrics() };
    default:
      return { status: 404, type: text, body: 'try /healthz, /readyz or /metrics\n' };
  }
}
