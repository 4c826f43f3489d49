// The gRPC test server on plaintext HTTP/2 (h2c): unary, server and bidirectional streams, errors
// with status in trailers, and the standard health check.
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import {
  decodeMessage,
  echoService,
  encodeMessage,
  frame,
  FrameReader,
  healthCheck,
} from './grpc-frames.ts';
import type { Who } from './who.ts';

export function serveGrpc(who: Who, port: number): () => Promise<void> {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    handle(who, stream as ServerHttp2Stream, headers);
  });
  server.listen(port);
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function handle(who: Who, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const path = String(headers[':path']);
  if (path === healthCheck) return answerHealth(stream);
  if (!path.startsWith(`${echoService}/`)) return fail(stream, 12, `no method ${path}`);
  open(stream);
  const method = path.slice(echoService.length + 1);
  const caller = String(headers['tsmesh-client-identity'] ?? '');
  const reader = new FrameReader();
  stream.on('data', (bytes: Buffer) => {
    for (const message of reader.push(bytes)) {
      const text = decodeMessage(message);
      const copies = method === 'ServerStream' ? 5 : 1;
      if (method === 'Fail') return;
      for (let copy = 0; copy < copies; copy++) {
        stream.write(encodeMessage(JSON.stringify({ ...who, text, copy, caller })));
      }
    }
  });
  stream.on('wantTrailers', () => {
    const failed = method === 'Fail';
    stream.sendTrailers(
      failed ? { 'grpc-status': '9', 'grpc-message': 'asked to fail' } : { 'grpc-status': '0' },
    );
  });
  stream.on('end', () => stream.end());
}

function open(stream: ServerHttp2Stream): void {
  const headers = { ':status': 200, 'content-type': 'application/grpc' };
  stream.respond(headers, { waitForTrailers: true });
}

/** grpc.health.v1: SERVING is 1 in field 1. */
function answerHealth(stream: ServerHttp2Stream): void {
  open(stream);
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(frame(Buffer.from([0x08, 0x01])));
  stream.resume();
}

function fail(stream: ServerHttp2Stream, status: number, message: string): void {
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(status),
      'grpc-message': message,
    },
    { endStream: true },
  );
}
