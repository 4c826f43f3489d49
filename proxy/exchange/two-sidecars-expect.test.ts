// Clients that ask whether to send their body, through two sidecars. Real sockets.
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { route } from '../../test/support/sidecar.ts';
import type { RetryPolicy } from '../api/resources.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const retry: RetryPolicy = {
  attempts: 2,
  on: ['5xx'],
  perTryTimeoutMs: null,
  backoffMs: 1,
  maxBackoffMs: 10,
  budgetPercent: 20,
  budgetMinConcurrent: 3,
};

async function pairFor(app: http.Server): Promise<MeshPair> {
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    app.closeAllConnections();
  });
  return pair;
}

const port = (pair: MeshPair) => pair.caller.outbound.address.port;

describe('Expect: 100-continue', () => {
  it('is answered by the app', async () => {
    const app = http.createServer();
    const pair = await pairFor(app);
    app.on('checkContinue', (request: http.IncomingMessage, response: http.ServerResponse) => {
      response.writeContinue();
      request.resume();
      request.on('end', () => response.end('continued'));
    });
    const seen: string[] = [];
    const body = await new Promise<string>((resolve, reject) => {
      const request = http.request({
        port: port(pair),
        host: '127.0.0.1',
        method: 'POST',
        headers: { expect: '100-continue', 'content-length': 3 },
      });
      request.on('continue', () => {
        seen.push('continue');
        request.end('abc');
      });
      request.on('error', reject);
      request.on('response', (response) => {
        response.on('data', (chunk: Buffer) => resolve(chunk.toString()));
      });
      request.flushHeaders();
    });
    expect(seen).toEqual(['continue']);
    expect(body).toBe('continued');
  });

  it('is answered once, however many tries it takes', async () => {
    let tries = 0;
    const app = http.createServer((request, response) => {
      tries += 1;
      response.statusCode = tries < 3 ? 503 : 200;
      request.resume().on('end', () => response.end());
    });
    const pair = await pairFor(app);
    pair.route({ routes: [route({ retry })] });
    let text = '';
    const socket = net.connect(port(pair), '127.0.0.1', () =>
      socket.write(
        'PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n',
      ),
    );
    closers.push(() => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      if (text === '') socket.write('abc');
      text += chunk.toString();
    });
    await until('it is answered', () => text.includes(' 200 OK'));
    expect([tries, text.match(/^HTTP.*$/gm)]).toEqual([
      3,
      ['HTTP/1.1 100 Continue', 'HTTP/1.1 200 OK'],
    ]);
  });
});
