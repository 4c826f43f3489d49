// Batches over TLS to collectors outside of the cluster: real servers with a certificate that Node's own list of authorities
// has, or has not.
import http2 from 'node:http2';
import https from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import type { Server, Socket } from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { listenOn } from '../../test/support/mesh-pair.ts';
import { loopback } from '../../test/support/sidecar.ts';
import { oddCertificate, oddRoot } from '../../test/support/odd-certificates.ts';
import { createTestClock } from '../net/test-clock.ts';
import type { ExportResult } from './exporter.ts';
import { createTlsSender } from './send-tls.ts';

const root = oddRoot();
const known = certificateBy(root);
const unknown = certificateBy(oddRoot());
const before = tls.getCACertificates('default');

function certificateBy(issuer: typeof root): { key: string; cert: string } {
  const { pem, keyPem } = oddCertificate({ names: [['dns', 'localhost']] }, issuer);
  return { key: keyPem, cert: pem };
}

const closers: (() => void)[] = [];
beforeAll(() => tls.setDefaultCACertificates([...before, root.pem]));
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Received {
  headers: IncomingHttpHeaders;
  path: string;
  body: Buffer;
}

/** Partial success: two spans were not taken. */
const partly = Buffer.from('0a020802', 'hex');

async function startHttp(certificate = known, status = 200) {
  const received: Received[] = [];
  const server = https.createServer(certificate, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({
        headers: request.headers,
        path: request.url!,
        body: Buffer.concat(chunks),
      });
      response.writeHead(status, { 'retry-after': '3' }).end(partly);
    });
  });
  return { received, ...(await serve(server)) };
}

async function startGrpc(certificate = known, code = 0) {
  const received: Received[] = [];
  const server = http2.createSecureServer(certificate);
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      received.push({ headers, path: headers[':path']!, body: Buffer.concat(chunks) });
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(code) }));
      stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, partly.length]), partly]));
    });
  });
  return { received, ...(await serve(server)) };
}

async function serve(server: Server) {
  const sockets = new Set<Socket>();
  server.on('secureConnection', (socket: Socket) => sockets.add(socket));
  server.on('tlsClientError', () => undefined);
  const { port } = await listenOn(server);
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  closers.push(stop);
  const again = () => new Promise<void>((resolve) => void server.listen(port, loopback, resolve));
  return {
    url: new URL(`https://localhost:${port}`),
    connections: () => sockets.size,
    stop,
    again,
  };
}

function sender(protocol: 'grpc' | 'http', url: URL) {
  const made = createTlsSender(protocol, url, createTestClock());
  closers.push(() => made.close());
  return (body: string) =>
    new Promise<ExportResult>((resolve) => made.send(Buffer.from(body), resolve));
}

describe('a collector outside of the cluster', () => {
  it('gets batches over HTTP on one connection, and says what it did not take', async () => {
    const { received, url, connections } = await startHttp();
    const send = sender('http', url);
    for (const body of ['one', 'two'])
      expect(await send(body)).toEqual({ outcome: 'sent', refused: 2, afterMs: 0 });
    expect(received.map(({ path, body }) => [path, body.toString()])).toEqual([
      ['/v1/traces', 'one'],
      ['/v1/traces', 'two'],
    ]);
    expect(received[0]!.headers['content-type']).toBe('application/x-protobuf');
    expect(connections()).toBe(1);
  });

  it('gets batches over gRPC on one connection, and says what it did not take', async () => {
    const { received, url, connections } = await startGrpc();
    const send = sender('grpc', url);
    for (const body of ['one', 'two'])
      expect(await send(body)).toEqual({ outcome: 'sent', refused: 2, afterMs: 0 });
    expect(received.map(({ body }) => body.subarray(5).toString())).toEqual(['one', 'two']);
    expect(received[0]!.path).toBe('/opentelemetry.proto.collector.trace.v1.TraceService/Export');
    expect(connections()).toBe(1);
  });

  it('that is busy is asked again when it says', async () => {
    const { url } = await startHttp(known, 503);
    expect(await sender('http', url)('one')).toEqual({
      outcome: 'later',
      refused: 0,
      afterMs: 3000,
    });
    const grpc = await startGrpc(known, 14);
    expect((await sender('grpc', grpc.url)('one')).outcome).toBe('later');
  });

  it.each(['http', 'grpc'] as const)(
    'that nobody vouches for gets nothing: %s',
    async (protocol) => {
      const server = await (protocol === 'http' ? startHttp(unknown) : startGrpc(unknown));
      expect((await sender(protocol, server.url)('one')).outcome).toBe('later');
      expect(server.received).toEqual([]);
    },
  );

  it.each(['http', 'grpc'] as const)(
    'that goes and comes back is found again: %s',
    async (protocol) => {
      const server = await (protocol === 'http' ? startHttp() : startGrpc());
      const send = sender(protocol, server.url);
      expect((await send('one')).outcome).toBe('sent');
      server.stop();
      expect((await send('two')).outcome).toBe('later');
      await server.again();
      expect((await send('three')).outcome).toBe('sent');
    },
  );
});
