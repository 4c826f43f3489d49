// Rewritten probes against real servers of each kind: what the kubelet would have found out by itself.

import { createServer as createHttpsServer } from 'node:https';
import {
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { RewrittenProbe } from '../../proxy/api/bootstrap.ts';
import { encodeRequest } from '../../proxy/lifecycle/grpc-health.ts';
import { performProbe, type ProbeResult } from '../../proxy/lifecycle/probe-check.ts';
import { issue, newAuthority } from '../support/identity-files.ts';

const open: { close(): unknown }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function listen(server: Server | Http2Server): Promise<number> {
  open.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function perform(check: RewrittenProbe['check'], timeoutSeconds = 1): Promise<ProbeResult> {
  const context = { defaultHost: '127.0.0.1', userAgent: 'kube-probe/1.34' };
  return performProbe({ path: '/probe/app/readiness', timeoutSeconds, check }, context);
}

type Answer = (stream: ServerHttp2Stream, request: Buffer) => void;

/** Answers Health/Check as told; every session ends with the server. */
async function grpcServer(answer: Answer): Promise<number> {
  const server = createHttp2Server();
  server.on('session', (session) => open.push({ close: () => session.destroy() }));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    if (headers[':path'] !== '/grpc.health.v1.Health/Check') {
      stream.close();
      return;
    }
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => answer(stream, Buffer.concat(chunks)));
  });
  return listen(server);
}

function serving(status: number): Answer {
  return (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, status]));
  };
}

describe('gRPC probes', () => {
  it('are a success where the service is SERVING', async () => {
    const port = await grpcServer(serving(1));
    expect(await perform({ type: 'grpc', port, service: '' })).toEqual({
      status: 200,
      body: 'SERVING',
    });
  });

  it('fail where it is not', async () => {
    const port = await grpcServer(serving(2));
    expect(await perform({ type: 'grpc', port, service: '' })).toEqual({
      status: 503,
      body: 'NOT_SERVING',
    });
  });

  it('ask for the service that the probe names', async () => {
    let asked: Buffer = Buffer.alloc(0);
    const port = await grpcServer((stream, request) => {
      asked = request;
      serving(1)(stream, request);
    });
    await perform({ type: 'grpc', port, service: 'shop.Quote' });
    expect(asked).toEqual(encodeRequest('shop.Quote'));
    expect(asked.subarray(0, 7)).toEqual(Buffer.from([0, 0, 0, 0, 12, 0x0a, 10]));
  });

  it('give the status of a server that does not know the service', async () => {
    const port = await grpcServer((stream) => {
      const headers = { ':status': 200, 'grpc-status': '5', 'grpc-message': 'unknown service' };
      stream.respond(headers, { endStream: true });
    });
    expect(await perform({ type: 'grpc', port, service: 'x' })).toEqual({
      status: 503,
      body: 'gRPC status 5: unknown service',
    });
  });

  it('end in time where nothing answers', async () => {
    const port = await grpcServer(() => {});
    expect((await perform({ type: 'grpc', port, service: '' })).status).toBe(504);
  });

  it('fail in words where the port speaks something else', async () => {
    const port = await listen(
      createServer((socket) => socket.end('220 mail\r\n').on('error', () => {})),
    );
    const { status, body } = await perform({ type: 'grpc', port, service: '' });
    expect(status).toBe(503);
    expect(body).not.toBe('');
  });
});

describe('HTTPS probes', () => {
  it('do not check the certificate, as the kubelet does not', async () => {
    const { keyPem, chainPem } = issue(newAuthority(), { serviceAccount: 'app' });
    const server = createHttpsServer({ key: keyPem, cert: chainPem }, (_request, response) => {
      response.end('secure');
    });
    const port = await listen(server);
    const check = {
      type: 'http',
      scheme: 'https',
      host: '',
      port,
      path: '/',
      headers: [],
    } as const;
    expect(await perform({ ...check, headers: [] })).toEqual({ status: 200, body: 'secure' });
  });
});
