// The HTTP/1.1 test server: echoes, delays, fails and breaks off on request.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { behaviours, createFaultyApp } from './faulty.ts';
import type { Who } from './who.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => unknown;

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

/** The identity that the mesh verified, in words for a response; null outside the mesh. */
export function callerOf(request: IncomingMessage): string | null {
  const identity = request.headers['tsmesh-client-identity'];
  return typeof identity === 'string' ? identity : null;
}

/** Serves `routes` by first path segment, `/` for the rest; answers how to close it. */
export function listen(port: number, routes: Record<string, Handler>): () => Promise<void> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://app');
    const segment = `/${url.pathname.split('/')[1] ?? ''}`;
    const handler = routes[segment] ?? routes['/'];
    Promise.resolve(handler?.(request, response, url)).catch((error: unknown) => {
      sendJson(response, 500, { error: String(error) });
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(port);
  return () => new Promise((resolve) => server.close(() => resolve()));
}

export function serveHttp(who: Who, port: number): () => Promise<void> {
  const failures = new Map<string, number>();
  const faulty = createFaultyApp();
  return listen(port, {
    '/': async (request, response) => sendJson(response, 200, await echo(who, request)),
    '/healthz': (_request, response) => sendJson(response, 200, { ...who, healthy: true }),
    '/status': (_request, response, url) =>
      sendJson(response, Number(url.pathname.split('/')[2] ?? 200), who),
    '/delay': (_request, response, url) => {
      setTimeout(() => sendJson(response, 200, who), Number(url.searchParams.get('ms') ?? 0));
    },
    // Fails the first `fail` requests of each key.
    '/flaky': (_request, response, url) => {
      const key = url.searchParams.get('key') ?? '';
      const seen = (failures.get(key) ?? 0) + 1;
      failures.set(key, seen);
      const status = seen <= Number(url.searchParams.get('fail') ?? 1) ? 503 : 200;
      sendJson(response, status, { ...who, attempt: seen });
    },
    '/bytes': (_request, response, url) => {
      const size = Number(url.searchParams.get('n') ?? 0);
      response.writeHead(200, { 'content-length': String(size) });
      response.end(Buffer.alloc(size, 'x'));
    },
    '/work': (request, response) => faulty.handle(request, response),
    // From now on that is how it does its work.
    '/become': (_request, response, url) => {
      const wanted = url.pathname.split('/')[2];
      faulty.behaviour = behaviours.find((one) => one === wanted) ?? faulty.behaviour;
      sendJson(response, 200, { behaviour: faulty.behaviour, received: faulty.received });
    },
    '/reset': (request) => request.socket.destroy(),
  });
}

async function echo(who: Who, request: IncomingMessage): Promise<object> {
  const hash = createHash('sha256');
  let bodyBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bodyBytes += chunk.length;
    hash.update(chunk);
  }
  return {
    ...who,
    method: request.method,
    path: request.url,
    headers: request.rawHeaders,
    caller: callerOf(request),
    remoteAddress: request.socket.remoteAddress,
    localAddress: request.socket.localAddress,
    bodyBytes,
    bodySha256: hash.digest('hex'),
  };
}
