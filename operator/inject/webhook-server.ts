// The HTTPS server that the API server asks: AdmissionReview v1 in and out, bounded, with a certificate
// that changes without a restart. It knows paths and handlers, not what they decide.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { guardConnections } from '../../proxy/api/connection-guard.ts';
import { meshTls } from '../../proxy/api/tls.ts';
import type { OperatorIdentity } from '../ca/operator-identity.ts';
import type { TlsMaterial } from '../ca/types.ts';
import type { Clock } from '../resources/clock.ts';
import { errorText, type Logger } from '../resources/logger.ts';
import { parseReview, reviewResponse } from './admission-review.ts';
import type { AdmissionDecision, AdmissionHandler, AdmissionRequest } from './admission.ts';

export interface WebhookServerOptions {
  tls: Pick<OperatorIdentity, 'current' | 'onChange'>;
  /** By path. */
  handlers: Record<string, AdmissionHandler>;
  /** PEM: who calls must show a certificate of it. Null: API servers show none unless told to. */
  clientCaPem: string | null;
  log: Logger;
  clock: Clock;
}

export interface WebhookServer {
  /** Port 0: any. Resolves with the port in use. Rejects where it is taken, or without a certificate. */
  listen(port: number, host?: string): Promise<number>;
  /** Lets requests in progress end, then closes; never rejects. */
  close(): Promise<void>;
}

/** etcd's default limit of a request is 1.5 MiB; a review holds an object twice at most. */
const maxBodyBytes = 4 * 1024 ** 2;
/** Of all requests together. Whoever reaches the port can send: it must not cost the operator's memory. */
const maxBufferedBytes = 32 * 1024 ** 2;
/** The API server uses as many as it has admissions under way. Others that reach the port get their share. */
const maxConnections = 512;
const handshakeTimeoutMs = 5_000;
/** How often Node looks for requests that are too slow; its default of 30 s makes longer limits of all others. */
const checkIntervalMs = 1_000;
/** The API server itself gives up after 10 s. */
const requestTimeoutMs = 15_000;
const headersTimeoutMs = 5_000;

export function createWebhookServer(options: WebhookServerOptions): WebhookServer {
  let server: Server | null = null;
  const budget: Budget = { bufferedBytes: 0 };
  let stopFollowing = (): void => undefined;
  return {
    async listen(port, host) {
      const material = options.tls.current();
      if (material === null) throw new Error('webhook server: there is no certificate yet');
      const created = createServer(
        serverOptions(material, options.clientCaPem),
        (request, response) => {
          void serve({ ...options, budget }, request, response);
        },
      );
      server = created;
      guardConnections(
        created,
        { total: maxConnections },
        {
          nowMs: () => options.clock.nowMs(),
          onRefused: (reason, address) =>
            options.log.warn('webhook: refused a connection', { reason, address }),
        },
      );
      created.headersTimeout = headersTimeoutMs;
      created.requestTimeout = requestTimeoutMs;
      // Handshakes that fail are the caller's affair.
      created.on('tlsClientError', (error) =>
        options.log.debug('webhook: TLS handshake failed', { error: errorText(error) }),
      );
      stopFollowing = options.tls.onChange((next) =>
        created.setSecureContext(tlsOptions(next, options.clientCaPem)),
      );
      await listening(created, port, host);
      return (created.address() as AddressInfo).port;
    },
    async close() {
      stopFollowing();
      const closing = server;
      server = null;
      if (closing === null) return;
      await new Promise<void>((resolve) => {
        closing.close(() => resolve());
        closing.closeIdleConnections();
      });
    },
  };
}

function serverOptions(material: TlsMaterial, clientCaPem: string | null) {
  return {
    ...tlsOptions(material, clientCaPem),
    requestCert: clientCaPem !== null,
    rejectUnauthorized: clientCaPem !== null,
    handshakeTimeout: handshakeTimeoutMs,
    connectionsCheckingInterval: checkIntervalMs,
  };
}

function tlsOptions(material: TlsMaterial, clientCaPem: string | null) {
  const own = { ...meshTls, cert: material.chainPem, key: material.keyPem };
  return clientCaPem === null ? own : { ...own, ca: clientCaPem };
}

function listening(server: Server, port: number, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

interface Budget {
  bufferedBytes: number;
}

/** Never rejects: every request gets an answer, or its connection is gone. */
async function serve(
  options: WebhookServerOptions & { budget: Budget },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const handler = handlerOf(options, request);
    if (typeof handler === 'number') return answer(response, handler, 'no such webhook\n');
    const body = await readBody(request, options.budget);
    if (body === 'too large')
      return answer(response, 413, `the body exceeds ${maxBodyBytes} bytes\n`);
    if (body === 'busy') return answer(response, 503, 'too much is being read already\n');
    const review = parseReview(body.toString());
    if (!review.ok) return answer(response, 400, `${review.message}\n`);
    const decision = await decide(options, handler, review.request);
    answer(response, 200, reviewResponse(review.request.uid, decision), 'application/json');
  } catch (error) {
    options.log.warn('webhook: request broken off', { error: errorText(error) });
    response.destroy();
  }
}

function handlerOf(options: WebhookServerOptions, request: IncomingMessage) {
  const path = (request.url ?? '').split('?', 1)[0]!;
  if (!Object.hasOwn(options.handlers, path)) return 404;
  return request.method === 'POST' ? options.handlers[path]! : 405;
}

/** A fault of ours must not look like a fault of the user's object, and must not end the server. */
async function decide(
  options: WebhookServerOptions,
  handler: AdmissionHandler,
  request: AdmissionRequest,
): Promise<AdmissionDecision> {
  const startMs = options.clock.nowMs();
  const about = {
    kind: request.kind.kind,
    namespace: request.namespace,
    name: request.name,
    operation: request.operation,
  };
  try {
    const decision = await handler(request);
    const tookMs = Math.round(options.clock.nowMs() - startMs);
    const message = decision.allowed ? undefined : decision.message;
    options.log.debug('webhook: answered', {
      ...about,
      allowed: decision.allowed,
      message,
      tookMs,
    });
    return decision;
  } catch (error) {
    options.log.error('webhook: handler failed', { ...about, error: errorText(error) });
    const message = `tsmesh operator: internal error: ${errorText(error)}; try again, and see the operator's log`;
    return { allowed: false, message, warnings: [] };
  }
}

async function readBody(request: IncomingMessage, budget: Budget) {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      budget.bufferedBytes += chunk.length;
      if (length > maxBodyBytes) return 'too large';
      if (budget.bufferedBytes > maxBufferedBytes) return 'busy';
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    budget.bufferedBytes -= length;
  }
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  // What is left of a refused body would be taken for the next request.
  if (status !== 200) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': contentType });
  response.end(body);
}
