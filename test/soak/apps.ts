// The apps behind the callee's sidecar: each answers with the id that it was asked with, in a header, in
// every byte of the body, in trailers.

import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import type { PairApp } from '../support/process-pair.ts';
import { listenOn } from '../support/mesh-pair.ts';
import { bodyOf, type Ledger } from './ledger.ts';

export interface Apps {
  list: PairApp[];
  close(): void;
}

export async function startApps(ledger: Ledger): Promise<Apps> {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const serve = async (name: string, protocol: PairApp['protocol'], server: Server) => {
    servers.push(server);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    });
    const address: AddressInfo = await listenOn(server);
    return { name, protocol, address };
  };
  const http2 = createHttp2Server();
  http2.on('stream', (stream: ServerHttp2Stream, headers) => {
    answerStream(ledger, stream, headers);
  });
  http2.on('sessionError', () => undefined);
  const list = [
    await serve('http', 'auto', httpApp(ledger)),
    await serve('h2', 'http2', http2),
    await serve('tcp', 'tcp', echoApp(ledger)),
    await serve('greeting', 'auto', greetingApp(ledger)),
  ];
  return {
    list,
    close() {
      for (const server of servers) server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Echoes bodies; `/bytes/N` answers with N bytes of the id; Upgrade echoes what follows. */
function httpApp(ledger: Ledger): HttpServer {
  const server = createServer((request, response) => {
    const id = String(request.headers['x-soak-id']);
    ledger.arrived(id);
    response.setHeader('x-soak-id', id);
    response.on('error', () => undefined);
    if (request.method === 'POST') {
      request.pipe(response);
      return;
    }
    request.resume();
    const bytes = Number(request.url?.split('/').at(-1) ?? 0);
    response.end(bodyOf(id, bytes));
  });
  server.keepAliveTimeout = 600_000;
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const id = String(request.headers['x-soak-id']);
    ledger.arrived(id);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: soak\r\nconnection: upgrade\r\nx-soak-id: ${id}\r\n\r\n`,
    );
    if (head.length > 0) socket.write(head);
    socket.pipe(socket);
  });
  return server;
}

/** Echoes the body, with the id before and after it. */
function answerStream(
  ledger: Ledger,
  stream: ServerHttp2Stream,
  headers: Record<string, string | string[] | undefined>,
): void {
  const id = String(headers['x-soak-id']);
  ledger.arrived(id);
  stream.on('error', () => undefined);
  stream.respond(
    { ':status': 200, 'x-soak-id': id, 'content-type': 'application/grpc' },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => {
    stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': id });
  });
  stream.pipe(stream);
}

/** The first line is the id; all that comes goes back. */
function echoApp(ledger: Ledger): Server {
  return createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (first: Buffer) => {
      ledger.arrived(first.toString('latin1').split('\n')[0]!);
    });
    socket.pipe(socket);
  });
}

/** Speaks first, as mail and database servers do. */
function greetingApp(ledger: Ledger): Server {
  return createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('220 ready\n');
    socket.once('data', (line: Buffer) => {
      const id = line.toString('latin1').trim();
      ledger.arrived(id);
      socket.end(`250 ${id}\n`);
    });
  });
}
