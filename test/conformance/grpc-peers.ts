// Test support: gRPC apps and clients on Node's own HTTP/2, so that a test can do what no gRPC library
// lets it do (reset codes, GOAWAY, broken messages) and sees what a library would hide.

import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { decodeMessage, encodeMessage, FrameReader } from '../apps/grpc-frames.ts';
import { listenOn } from '../support/mesh-pair.ts';
import { loopback } from '../support/sidecar.ts';

export type GrpcHandler = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
) => void;

export interface GrpcApp {
  address: AddressInfo;
  sessions: Set<http2.ServerHttp2Session>;
  /** Open streams of all connections, and the most there were at once on one. */
  most: { streams: number };
  close(): void;
}

export async function startGrpcApp(
  handler: GrpcHandler,
  options: http2.ServerOptions = {},
): Promise<GrpcApp> {
  // gRPC servers do not count resets, as Node's own HTTP/2 does.
  const patient = { streamResetBurst: 1_000_000, streamResetRate: 1_000_000 };
  const server = http2.createServer({ ...patient, ...options });
  const sessions = new Set<http2.ServerHttp2Session>();
  const open = new Map<http2.Http2Session, number>();
  const most = { streams: 0 };
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    const { session } = stream;
    if (session === undefined) return;
    open.set(session, (open.get(session) ?? 0) + 1);
    most.streams = Math.max(most.streams, open.get(session) ?? 0);
    stream.on('error', () => undefined);
    stream.on('close', () => open.set(session, (open.get(session) ?? 1) - 1));
    handler(stream as http2.ServerHttp2Stream, headers);
  });
  const address = await listenOn(server);
  const close = (): void => {
    server.close();
    for (const session of sessions) session.destroy();
  };
  return { address, sessions, most, close };
}

/** Answers each message with itself, then with the status. */
export function echo(
  stream: http2.ServerHttp2Stream,
  trailers: Record<string, string> = { 'grpc-status': '0' },
): void {
  respond(stream, trailers);
  const reader = new FrameReader();
  stream.on('data', (bytes: Buffer) => {
    for (const message of reader.push(bytes)) stream.write(encodeMessage(decodeMessage(message)));
  });
  stream.on('end', () => stream.end());
}

/** The head of an answer; the trailers follow when the stream is ended. */
export function respond(
  stream: http2.ServerHttp2Stream,
  trailers: Record<string, string> = { 'grpc-status': '0' },
): void {
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
}

export interface GrpcAnswer {
  headers: http2.IncomingHttpHeaders;
  trailers: http2.IncomingHttpHeaders;
  messages: string[];
  /** The head ended the answer. */
  trailersOnly: boolean;
  /** Of RST_STREAM; 0 where the stream ended in order. */
  resetCode: number;
}

export interface GrpcCall {
  stream: http2.ClientHttp2Stream;
  answer: GrpcAnswer;
  send(message: string): void;
  /** When the stream is over, in whatever way. */
  done: Promise<GrpcAnswer>;
}

export class GrpcClient {
  readonly session: http2.ClientHttp2Session;

  constructor(port: number) {
    this.session = http2.connect(`http://${loopback}:${port}`);
    this.session.on('error', () => undefined);
  }

  call(headers: http2.OutgoingHttpHeaders = {}): GrpcCall {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': '/tsmesh.test.Echo/Call',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const answer = newAnswer();
    listen(stream, answer);
    const done = new Promise<GrpcAnswer>((resolve) => {
      stream.on('error', () => undefined);
      stream.on('close', () => resolve({ ...answer, resetCode: stream.rstCode ?? 0 }));
    });
    return { stream, answer, send: (message) => void stream.write(encodeMessage(message)), done };
  }

  /** One message each way. */
  unary(message: string, headers: http2.OutgoingHttpHeaders = {}): Promise<GrpcAnswer> {
    const call = this.call(headers);
    call.send(message);
    call.stream.end();
    return call.done;
  }

  close(): void {
    this.session.destroy();
  }
}

function newAnswer(): GrpcAnswer {
  return { headers: {}, trailers: {}, messages: [], trailersOnly: false, resetCode: 0 };
}

function listen(stream: http2.ClientHttp2Stream, answer: GrpcAnswer): void {
  const reader = new FrameReader();
  stream.on('response', (headers, flags) => {
    answer.headers = headers;
    answer.trailersOnly = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
  });
  // A gRPC client sends nothing more once it has the status.
  stream.on('end', () => stream.end());
  stream.on('trailers', (trailers) => (answer.trailers = trailers));
  stream.on('data', (bytes: Buffer) => {
    for (const message of reader.push(bytes)) answer.messages.push(decodeMessage(message));
  });
}

/** The status that a gRPC library would report: of the trailers, or of a head that is all there is. */
export function statusOf({ headers, trailers, trailersOnly }: GrpcAnswer): string {
  return String((trailersOnly ? headers : trailers)['grpc-status'] ?? 'none');
}

/** Its words, decoded. */
export function messageOf({ headers, trailers, trailersOnly }: GrpcAnswer): string {
  return decodeURIComponent(String((trailersOnly ? headers : trailers)['grpc-message'] ?? ''));
}
