// Test support: the operator's end of discovery on a real TLS and HTTP/2 socket, where the test says what
// is pushed and sees what a sidecar says. It answers nothing by itself.

import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { DownMessage, UpMessage } from '../../proxy/api/discovery.ts';
import type { Resource, ResourceKey } from '../../proxy/api/resources.ts';
import { createFrameDecoder, encodeFrame } from '../../proxy/discovery/framing.ts';
import type { TlsMaterial } from '../../operator/ca/types.ts';
import { until } from './identity-files.ts';

export interface TestStream {
  received: UpMessage[];
  closed: boolean;
  send(message: DownMessage): void;
  sendRaw(bytes: Buffer): void;
  /** Ends with a gRPC status. */
  refuse(status: number, message: string): void;
  /** Serial of the certificate that the sidecar proved itself with. */
  serial: string;
}

export interface TestOperator {
  port: number;
  streams: TestStream[];
  push(nonce: string, resources: Resource[], removed?: ResourceKey[]): void;
  /** The acknowledgement of a push, once it is there. */
  acknowledged(nonce: string): Promise<UpMessage['ack']>;
  close(): Promise<void>;
}

export interface TestOperatorOptions {
  identity: TlsMaterial;
  port?: number;
  /** False: streams are left without an answer. */
  accept?: boolean;
}

export async function startTestOperator(options: TestOperatorOptions): Promise<TestOperator> {
  const { identity, port = 0, accept = true } = options;
  const streams: TestStream[] = [];
  const server = createSecureServer({
    cert: identity.chainPem,
    key: identity.keyPem,
    ca: identity.rootsPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream) => streams.push(follow(stream, accept)));
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    streams,
    push(nonce, resources, removed = []) {
      const versioned = resources.map((resource) => ({ version: nonce, resource }));
      streams.at(-1)!.send({ push: { nonce, resources: versioned, removed } });
    },
    async acknowledged(nonce) {
      const find = (): UpMessage | undefined =>
        streams.flatMap((one) => one.received).find((one) => one.ack?.nonce === nonce);
      await until(() => find() !== undefined);
      return find()!.ack;
    },
    close: () => closeServer(server, sessions),
  };
}

function follow(stream: ServerHttp2Stream, accept: boolean): TestStream {
  const decoder = createFrameDecoder();
  const socket = stream.session!.socket as unknown as {
    getPeerCertificate(): { serialNumber: string };
  };
  const one: TestStream = {
    received: [],
    closed: false,
    serial: socket.getPeerCertificate().serialNumber,
    send: (message) => one.sendRaw(encodeFrame(JSON.stringify(message))),
    sendRaw: (bytes) => void stream.write(bytes),
    refuse(status, message) {
      stream.respond(
        { ':status': 200, 'grpc-status': String(status), 'grpc-message': message },
        { endStream: true },
      );
    },
  };
  if (accept) stream.respond({ ':status': 200, 'content-type': 'application/grpc+json' });
  stream.on('data', (bytes: Buffer) => {
    for (const text of decoder.push(bytes)) one.received.push(JSON.parse(text) as UpMessage);
  });
  stream.on('error', () => {});
  stream.on('close', () => (one.closed = true));
  return one;
}

async function closeServer(
  server: Http2SecureServer,
  sessions: Set<{ destroy(): void }>,
): Promise<void> {
  for (const session of sessions) session.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
