// The webhook server over real TLS: answers, bounds, hot certificates, faults of callers and of ours.

import { afterEach, describe, expect, it } from '@jest/globals';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { createRoot, loadAuthority } from '../ca/authority.ts';
import { createOperatorIdentity } from '../ca/operator-identity.ts';
import { TestClock } from '../ca/test-api.ts';
import type { CertificateAuthority } from '../ca/types.ts';
import type { Logger } from '../resources/logger.ts';
import type { AdmissionHandler } from './admission.ts';
import { createWebhookServer, type WebhookServer } from './webhook-server.ts';

// TLS checks certificates against the machine's time.
const now = Date.now();
const servername = 'tsmesh-operator.tsmesh-system.svc';
const open: WebhookServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

function authority(): CertificateAuthority {
  const loaded = loadAuthority(createRoot('cluster.local', 99_999_999, now), now);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return loaded.authority;
}

async function world(
  handlers: Record<string, AdmissionHandler> = {},
  clientCaPem: string | null = null,
) {
  const state = { authority: authority() };
  const tls = createOperatorIdentity({
    ca: {
      current: () => state.authority,
      condition: () => ({ status: 'True', reason: '', message: '' }),
    },
    getMesh: () => null,
  });
  tls.renewIfDue(now);
  const logged: string[] = [];
  const write = (message: string, fields?: object) =>
    void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log: Logger = { debug: write, info: write, warn: write, error: write };
  const server = createWebhookServer({
    tls,
    handlers,
    clientCaPem,
    log,
    clock: new TestClock(now),
  });
  open.push(server);
  const port = await server.listen(0, '127.0.0.1');
  const renew = () => {
    state.authority = authority();
    tls.renewIfDue(now);
  };
  const post = (path: string, body: string | Buffer, method = 'POST') =>
    send({ port, path, method, ca: state.authority.rootsPem, body });
  return { post, logged, renew, port, ca: state.authority.rootsPem };
}

interface Sent {
  port: number;
  path: string;
  method: string;
  ca: string;
  body: string | Buffer;
  cert?: string;
  key?: string;
}

function send(sent: Sent): Promise<{ status: number; text: string }> {
  const { body, ...rest } = sent;
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { ...rest, host: '127.0.0.1', servername, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, text });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends 3.9 MiB and no end: the server has to hold them. */
function beginBody(to: { port: number; path: string; ca: string }) {
  const request = httpsRequest({
    ...to,
    host: '127.0.0.1',
    method: 'POST',
    servername,
    agent: false,
  });
  const status = new Promise<number>((resolve) => {
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on('error', () => resolve(0));
  });
  request.write(Buffer.alloc(3.9 * 1024 ** 2, 'x'));
  return { status, end: () => request.destroy() };
}

function review(parts: object = {}): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'r1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      object: { metadata: { name: 'a' }, spec: {} },
      ...parts,
    },
  });
}

describe('the webhook server', () => {
  it('answers with the patch in base64', async () => {
    const patch = [{ op: 'add' as const, path: '/a', value: 'ü' }];
    const handle: AdmissionHandler = async () => ({ allowed: true, patch, warnings: ['w'] });
    const { post } = await world({ '/x': handle });
    const { status, text } = await post('/x?timeout=10s', review());
    const { response } = JSON.parse(text) as { response: Record<string, string> };
    expect(status).toBe(200);
    expect(response).toMatchObject({ uid: 'r1', allowed: true, warnings: ['w'] });
    expect(JSON.parse(Buffer.from(response.patch!, 'base64').toString())).toEqual(patch);
  });

  it('answers a refusal with the message, and shortens long warnings', async () => {
    const handle: AdmissionHandler = async () => ({
      allowed: false,
      message: 'no',
      warnings: ['w'.repeat(300)],
    });
    const { post } = await world({ '/x': handle });
    const { text } = await post('/x', review());
    const { response } = JSON.parse(text) as { response: { warnings: string[] } };
    expect(response).toMatchObject({ allowed: false, status: { code: 403, message: 'no' } });
    expect(response.warnings[0]).toHaveLength(256);
  });

  it('turns a fault of a handler into a refusal, and goes on', async () => {
    const handle: AdmissionHandler = async () => {
      throw new TypeError('x is not a function');
    };
    const { post, logged } = await world({ '/x': handle });
    const { text } = await post('/x', review());
    expect(text).toContain('internal error: x is not a function');
    expect(logged.join()).toContain('handler failed');
    expect((await post('/x', review())).status).toBe(200);
  });

  it.each([
    ['no JSON', '{'],
    ['no review', '{}'],
    ['another version', '{"apiVersion":"admission.k8s.io/v1beta1","request":{}}'],
    ['no request', '{"apiVersion":"admission.k8s.io/v1"}'],
    ['no uid', review({ uid: '' })],
    ['no kind', review({ kind: 'Pod' })],
    ['no operation', review({ operation: 'PATCH' })],
    ['no object', review({ object: 'x' })],
    ['an object without metadata', review({ oldObject: {} })],
  ])('answers %s with 400', async (_, body) => {
    const { post } = await world({
      '/x': async () => ({ allowed: true, patch: [], warnings: [] }),
    });
    expect((await post('/x', body)).status).toBe(400);
  });

  it('answers unknown paths with 404, other methods with 405', async () => {
    const { post } = await world({
      '/x': async () => ({ allowed: true, patch: [], warnings: [] }),
    });
    expect((await post('/constructor', review())).status).toBe(404);
    expect((await post('/x', '', 'GET')).status).toBe(405);
  });

  it('refuses a body that is too large and lives on', async () => {
    const { post } = await world({
      '/x': async () => ({ allowed: true, patch: [], warnings: [] }),
    });
    const large = Buffer.alloc(5 * 1024 ** 2, 'x');
    // The connection is closed while the caller still writes: either answer is an end.
    const answer = await post('/x', large).then(
      ({ status }) => status,
      () => 413,
    );
    expect(answer).toBe(413);
    expect((await post('/x', review())).status).toBe(200);
  });

  it('bounds what all callers together can make it hold, and recovers', async () => {
    const { post, port, ca } = await world({
      '/x': async () => ({ allowed: true, patch: [], warnings: [] }),
    });
    const held = Array.from({ length: 9 }, () => beginBody({ port, path: '/x', ca }));
    // 9 × 3.9 MiB is more than 32 MiB: one is told so, or (still writing) finds its connection closed.
    const first = await Promise.race(held.map(({ status }) => status));
    expect([503, 0]).toContain(first);
    for (const { end } of held) end();
    await Promise.all(held.map(({ status }) => status));
    expect((await post('/x', review())).status).toBe(200);
  });

  it('answers whoever has its share, while one caller opens all the connections there are', async () => {
    const { post, port, logged } = await world({
      '/x': async () => ({ allowed: true, patch: [], warnings: [] }),
    });
    const hog = Array.from({ length: 600 }, () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.66' });
      socket.on('error', () => undefined);
      return socket;
    });
    const ended = hog.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    await Promise.race(ended);
    expect((await post('/x', review())).status).toBe(200);
    expect(logged.join()).toContain('webhook: refused a connection');
    for (const socket of hog) socket.destroy();
    await Promise.all(ended);
  });

  it('ends callers that say nothing, go on for ever with a head, or begin no handshake', async () => {
    const { port, ca } = await world();
    const silent = tlsConnect({ port, host: '127.0.0.1', ca, servername });
    const slow = tlsConnect({ port, host: '127.0.0.1', ca, servername });
    const bare = connect({ port, host: '127.0.0.1' });
    const said = new Map([silent, slow, bare].map((socket) => [socket, '']));
    const closed = [silent, slow, bare].map((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => said.set(socket, said.get(socket)! + chunk.toString()));
      return new Promise((resolve) => socket.once('close', resolve));
    });
    slow.write('POST /x HTTP/1.1\r\nhost: x\r\nx:');
    const drip = setInterval(() => slow.write('y'), 500);
    await Promise.all(closed);
    clearInterval(drip);
    expect(said.get(silent)).toContain('408');
    expect(said.get(slow)).toContain('408');
    expect(said.get(bare)).toBe('');
  }, 15_000);

  it('answers a head that is too large with 431 and goes on', async () => {
    const { post, port, ca } = await world({
      '/x': async () => ({ allowed: true, patch: [], warnings: [] }),
    });
    const socket = tlsConnect({ port, host: '127.0.0.1', ca, servername });
    socket.on('error', () => undefined);
    let said = '';
    socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(`POST /x HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(100_000)}`);
    await closed;
    expect(said).toContain('431');
    expect((await post('/x', review())).status).toBe(200);
  });

  it('serves a new certificate without a restart', async () => {
    const { post, renew } = await world({
      '/x': async () => ({ allowed: true, patch: [], warnings: [] }),
    });
    expect((await post('/x', review())).status).toBe(200);
    // From here on the caller trusts the new root only.
    renew();
    expect((await post('/x', review())).status).toBe(200);
  });

  it('answers only who shows a certificate of the CA for clients, where one is set', async () => {
    const clients = authority();
    const { port, ca, renew, post } = await world(
      { '/x': async () => ({ allowed: true, patch: [], warnings: [] }) },
      clients.rootsPem,
    );
    const uris = ['spiffe://cluster.local/ns/kube-system/sa/api-server'];
    const shown = (from: CertificateAuthority) => {
      const { chainPem, keyPem } = from.issue({ uris, dnsNames: [], lifetimeMs: 60_000 }, now);
      return { cert: chainPem, key: keyPem };
    };
    const sent = { port, path: '/x', method: 'POST', ca, body: review() };
    expect((await send({ ...sent, ...shown(clients) })).status).toBe(200);
    await expect(send({ ...sent, ...shown(authority()) })).rejects.toThrow();
    await expect(send(sent)).rejects.toThrow();
    renew();
    await expect(post('/x', review())).rejects.toThrow();
  });

  it('does not listen without a certificate', async () => {
    const none = { current: () => null, onChange: () => () => undefined };
    const log: Logger = { debug() {}, info() {}, warn() {}, error() {} };
    const clock = new TestClock(now);
    const options = { tls: none, handlers: {}, clientCaPem: null, log, clock };
    await expect(createWebhookServer(options).listen(0)).rejects.toThrow('no certificate');
  });
});
