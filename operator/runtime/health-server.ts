// Plain HTTP for the kubelet and for Prometheus: /healthz, /readyz, /metrics. Nothing else, and nothing
// secret.

import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthSources {
  /** What readiness still waits for; empty: ready. */
  missing: () => string[];
  /** Prometheus text. */
  metrics: () => string;
}

export interface HealthServer {
  listen(port: number): Promise<number>;
  close(): Promise<void>;
}

export function createHealthServer(sources: HealthSources): HealthServer {
  const server = http.createServer((request, response) => {
    const { status, type, body } = answer(sources, request.url ?? '/');
    response.writeHead(status, { 'content-type': type });
    response.end(body);
  });
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
