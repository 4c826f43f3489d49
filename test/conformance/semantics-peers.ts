// Test support: HTTP/1 peers made of bare sockets, which see every byte and may say anything. They share no
// code with the sidecar; what they read they cut by the plain rules of RFC 9112 §6.

import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { until } from '../support/mesh-pair.ts';

export type Pair = readonly [name: string, value: string];

export interface Message {
  /** Request line or status line. */
  line: string;
  /** As they stand on the wire, in order. */
  fields: Pair[];
  body: string;
  trailers: Pair[];
  /** Raw head, with its empty line. */
  head: string;
}

/** Values of a field in order. */
export function values(fields: readonly Pair[], name: string): string[] {
  return fields.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
}

export function value(message: Message, name: string): string | undefined {
  return values(message.fields, name)[0];
}

/** Names in order, without those that the sidecar adds. */
export function names(message: Message): string[] {
  const added = ['tsmesh-client-identity', 'x-forwarded-client-cert', 'x-request-id'];
  return message.fields.map(([name]) => name).filter((name) => !added.includes(name));
}

function parseFields(text: string): Pair[] {
  const lines = text.split('\r\n').filter((line) => line !== '');
  return lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

interface Cut {
  message: Message;
  length: number;
}

/** The first whole message of `text`, or null. `bodiless`: an answer that has none whatever its head says. */
export function cutMessage(text: string, bodiless = false, closed = false): Cut | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const head = text.slice(0, headEnd + 4);
  const lineEnd = head.indexOf('\r\n');
  const line = head.slice(0, lineEnd);
  const fields = parseFields(head.slice(lineEnd + 2));
  const message: Message = { line, fields, body: '', trailers: [], head };
  const at = headEnd + 4;
  if (bodiless || hasNoBody(line)) return { message, length: at };
  if (values(fields, 'transfer-encoding').includes('chunked')) return cutChunks(text, at, message);
  const length = values(fields, 'content-length')[0];
  if (length === undefined && line.startsWith('HTTP/')) {
    if (!closed) return null;
    return { message: { ...message, body: text.slice(at) }, length: text.length };
  }
  const size = Number(length ?? 0);
  if (text.length < at + size) return null;
  return { message: { ...message, body: text.slice(at, at + size) }, length: at + size };
}

function hasNoBody(line: string): boolean {
  return /^HTTP\/1\.[01] (1..|204|304)/.test(line);
}

function cutChunks(text: string, from: number, message: Message): Cut | null {
  let at = from;
  let body = '';
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (text.length < at + size + 2) return null;
    body += text.slice(at, at + size);
    at += size + 2;
  }
  if (text.startsWith('\r\n', at)) return { message: { ...message, body }, length: at + 2 };
  const end = text.indexOf('\r\n\r\n', at);
  if (end < 0) return null;
  const trailers = parseFields(text.slice(at, end));
  return { message: { ...message, body, trailers }, length: end + 4 };
}

/** One end of a connection: remembers all that it read. */
export class Wire {
  readonly socket: net.Socket;
  text = '';
  /** What was read and not cut into messages yet. */
  rest = '';
  ended = false;
  closed = false;
  error: string | null = null;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      this.text += text;
      this.rest += text;
    });
    socket.on('end', () => (this.ended = true));
    socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code ?? ''));
    socket.on('close', () => (this.closed = true));
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** The next whole message; waits for it. */
  async message(bodiless = false): Promise<Message> {
    let cut: Cut | null = null;
    await until(`a whole message; there is ${JSON.stringify(this.rest.slice(0, 500))}`, () => {
      cut = cutMessage(this.rest, bodiless, this.ended && this.error === null);
      return cut !== null || this.error !== null || (this.closed && this.rest === '');
    });
    if (cut === null) throw new Error(`no message: ${this.error ?? 'closed'}, ${this.rest}`);
    const { message, length } = cut as Cut;
    this.rest = this.rest.slice(length);
    return message;
  }

  async has(text: string): Promise<void> {
    await until(`it got ${JSON.stringify(text)}`, () => this.text.includes(text));
  }

  /** Closed by the other side in order. */
  async end(): Promise<void> {
    await until('the connection ended', () => this.ended || this.error !== null);
    if (this.error !== null) throw new Error(`ended by ${this.error}, not in order`);
  }

  /** Reset by the other side. */
  async reset(): Promise<void> {
    await until('the connection was reset', () => this.error !== null || this.ended);
    if (this.error === null) throw new Error('ended in order, not by a reset');
  }
}

export type Serve = (request: Message, wire: Wire) => void;

export interface RawApp {
  readonly address: AddressInfo;
  /** In order of arrival. */
  readonly requests: Message[];
  readonly wires: Wire[];
  /** Sees every whole request. */
  serve: Serve;
  /** Sees a request as soon as its head is whole; the body may still come. */
  onHead: Serve;
  close(): void;
}

/** An app that answers 200 `ok` unless it is told otherwise. */
export async function startRawApp(): Promise<RawApp> {
  const sockets: net.Socket[] = [];
  const app = {
    requests: [] as Message[],
    wires: [] as Wire[],
    serve: ((_, wire) => wire.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')) as Serve,
    onHead: (() => undefined) as Serve,
  };
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    const wire = new Wire(socket);
    app.wires.push(wire);
    let headSeen = false;
    socket.on('data', () => {
      for (;;) {
        if (!headSeen && wire.rest.includes('\r\n\r\n')) {
          headSeen = true;
          app.onHead(headOf(wire.rest), wire);
        }
        const cut = cutMessage(wire.rest);
        if (cut === null) return;
        wire.rest = wire.rest.slice(cut.length);
        headSeen = false;
        app.requests.push(cut.message);
        app.serve(cut.message, wire);
      }
    });
    socket.on('end', () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(app, {
    address: server.address() as AddressInfo,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
}

function headOf(text: string): Message {
  const head = text.slice(0, text.indexOf('\r\n\r\n') + 4);
  return cutMessage(head, true)!.message;
}

export function connectTo(port: number): Wire {
  return new Wire(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
}
