// The demo's shop: `web` asks `cart` (HTTP), `quote` (gRPC) and `bank` (TCP, speaks first) and
// answers with what each of them said; `cart` keeps a cart; the job calls web as a user would.
import { grpcCall, httpCall, tcpCall } from './client.ts';
import { callerOf, listen, sendJson } from './http-server.ts';
import type { Who } from './who.ts';

const timeoutMs = 5000;

export function serveWeb(who: Who, port: number): () => Promise<void> {
  return listen(port, {
    '/healthz': (_request, response) => sendJson(response, 200, { healthy: true }),
    '/': async (_request, response) => {
      const [cart, quote, bank] = await Promise.all([askCart(), askQuote(), askBank()]);
      const whole = cart !== null && quote !== null && bank !== null;
      sendJson(response, whole ? 200 : 502, { ...who, cart, quote, bank });
    },
  });
}

async function askCart(): Promise<unknown> {
  const call = { url: 'http://cart/items', method: 'GET', header: [], body: '', timeoutMs };
  const answer = await httpCall(call);
  return answer.status === 200 ? JSON.parse(answer.body) : null;
}

async function askQuote(): Promise<unknown> {
  const answer = await grpcCall('quote:9090', { method: 'Unary', text: 'umbrella', timeoutMs });
  return answer.grpcStatus === '0' ? JSON.parse(answer.messages[0] ?? 'null') : null;
}

async function askBank(): Promise<unknown> {
  const answer = await tcpCall('bank:7000', 'balance', timeoutMs);
  return answer.error === undefined ? answer.received.trim().split('\r\n') : null;
}

export function serveCart(who: Who, port: number): () => Promise<void> {
  const items = ['umbrella', 'kettle'];
  return listen(port, {
    '/healthz': (_request, response) => sendJson(response, 200, { healthy: true }),
    '/': (request, response) =>
      sendJson(response, 200, { ...who, items, caller: callerOf(request) }),
  });
}

/** Calls web until each part of the shop answered once; the exit code tells. */
export async function runJob(): Promise<object> {
  const call = { url: 'http://web/', method: 'GET', header: [], body: '', timeoutMs: 10_000 };
  const answer = await httpCall(call);
  if (answer.status !== 200) process.exitCode = 1;
  return { status: answer.status, body: answer.body, error: answer.error };
}
