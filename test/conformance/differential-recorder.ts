// The upstream of the differential test: a plain TCP server that writes down how the bytes which reached it split into
// requests, read as strictly as may be, and answers each. What it cannot split it calls ambiguous.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

export interface Recorded {
  method: string;
  target: string;
  host: string;
  body: string;
  complete: boolean;
}

export interface Recorder {
  port: number;
  /** What arrived of a case, by its `case-NNNN`. */
  of(id: string): readonly Recorded[];
  /** Requests in which no case is named. */
  strays: Recorded[];
  close(): void;
}

/** The answer to a target, if it is to be another than the usual; its bytes, and whether the connection ends then. */
export type Answers = (target: string) => { bytes: Buffer; close: boolean } | null;

type Framing = { kind: 'length'; left: number } | { kind: 'chunked' } | { kind: 'ambiguous' };

export async function startRecorder(answers: Answers = () => null): Promise<Recorder> {
  const records = newRecords();
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const connection = new Connection(socket, answers, records.add);
    socket.on('data', (chunk: Buffer) => connection.receive(chunk));
  });
  return recorderOn(server, records, () => {
    for (const socket of sockets) socket.destroy();
  });
}

interface Records {
  byCase: Map<string, Recorded[]>;
  strays: Recorded[];
  add(this: void, request: Recorded, id: string | null): void;
}

export function newRecords(): Records {
  const byCase = new Map<string, Recorded[]>();
  const strays: Recorded[] = [];
  const add = (request: Recorded, id: string | null): void => {
    if (id === null) strays.push(request);
    else byCase.set(id, [...(byCase.get(id) ?? []), request]);
  };
  return { byCase, strays, add };
}

/** Makes the server listen. */
export async function recorderOn(
  server: Server,
  { byCase, strays }: Records,
  closeConnections: () => void,
): Promise<Recorder> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    of: (id) => byCase.get(id) ?? [],
    strays,
    close() {
      server.close();
      closeConnections();
    },
  };
}

class Connection {
  readonly #socket: Socket;
  readonly #answers: Answers;
  readonly #record: (request: Recorded, id: string | null) => void;
  #text = '';
  #current: Recorded | null = null;
  #framing: Framing = { kind: 'length', left: 0 };

  constructor(
    socket: Socket,
    answers: Answers,
    record: (request: Recorded, id: string | null) => void,
  ) {
    this.#socket = socket;
    this.#answers = answers;
    this.#record = record;
  }

  receive(chunk: Buffer): void {
    this.#text += chunk.toString('latin1');
    while (this.#step());
  }

  #step(): boolean {
    return this.#current === null ? this.#head() : this.#body(this.#current);
  }

  #head(): boolean {
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#text.slice(0, end + 2);
    this.#text = this.#text.slice(end + 4);
    const [method = '', target = ''] = head.slice(0, head.indexOf('\r\n')).split(' ');
    const host = /\r\nhost: *([^\r]*)/i.exec(head)?.[1] ?? '';
    this.#current = { method, target, host, body: '', complete: false };
    this.#framing = framingOf(head);
    this.#record(this.#current, /case-\d{4}/.exec(head)?.[0] ?? null);
    return true;
  }

  #body(request: Recorded): boolean {
    const framing = this.#framing;
    if (framing.kind === 'ambiguous') return this.#swallow(request);
    if (framing.kind === 'chunked') return this.#chunk(request);
    const part = this.#text.slice(0, framing.left);
    request.body += part;
    framing.left -= part.length;
    this.#text = this.#text.slice(part.length);
    return framing.left === 0 && this.#complete(request);
  }

  /** Everything else belongs to a request whose end nobody can know. */
  #swallow(request: Recorded): boolean {
    request.body += `?${this.#text}`;
    this.#text = '';
    return false;
  }

  #chunk(request: Recorded): boolean {
    const line = /^([0-9a-f]{1,12})(;[^\r\n]*)?\r\n/i.exec(this.#text);
    if (line === null) return this.#waits(/^[0-9a-f]{0,12}(;[^\r\n]*)?\r?$/i, this.#text);
    const size = parseInt(line[1]!, 16);
    const rest = this.#text.slice(line[0].length);
    if (size === 0) {
      const end = /^([^\r\n]+\r\n)*\r\n/.exec(rest);
      if (end === null) return this.#waits(/^([^\r\n]+\r\n)*[^\r\n]*\r?$/, rest);
      this.#text = rest.slice(end[0].length);
      return this.#complete(request);
    }
    if (rest.length < size + 2) return false;
    request.body += rest.slice(0, size);
    this.#text = rest.slice(size + 2);
    if (rest.slice(size, size + 2) === '\r\n') return true;
    this.#framing = { kind: 'ambiguous' };
    return true;
  }

  /** More may still make it right; if not, the chunks are broken. */
  #waits(possible: RegExp, text: string): boolean {
    if (possible.test(text)) return false;
    this.#framing = { kind: 'ambiguous' };
    return true;
  }

  #complete(request: Recorded): boolean {
    request.complete = true;
    this.#current = null;
    const own = this.#answers(request.target);
    if (own !== null) {
      this.#socket.write(own.bytes);
      if (own.close) this.#socket.end();
    } else this.#socket.write(answerTo(request));
    // What follows a CONNECT that was agreed to is no HTTP.
    return request.method !== 'CONNECT';
  }
}

function answerTo({ method }: Recorded): string {
  if (method === 'CONNECT') return 'HTTP/1.1 200 OK\r\n\r\n';
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n';
  return method === 'HEAD' ? head : `${head}ok`;
}

function framingOf(head: string): Framing {
  const values = (name: string): string[] =>
    [...head.matchAll(new RegExp(`\r\n${name}:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)`, 'gi'))].map(
      (match) => match[1]!,
    );
  const lengths = values('content-length');
  const codings = values('transfer-encoding');
  const odd = /[^\r]\n|\r[^\n]|\n[^:\r\n]*[\t ]:|\r\n[\t ]|\0/.test(head);
  if (odd || lengths.length > 1 || codings.length > 1 || lengths.length + codings.length > 1) {
    return { kind: 'ambiguous' };
  }
  if (codings.length === 1) {
    return codings[0]!.toLowerCase() === 'chunked' ? { kind: 'chunked' } : { kind: 'ambiguous' };
  }
  const text = lengths[0] ?? '0';
  if (!/^\d{1,15}$/.test(text)) return { kind: 'ambiguous' };
  return { kind: 'length', left: Number(text) };
}
