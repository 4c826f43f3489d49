// Clients of HTTP/1.1 and HTTP/2 for the soak: each asks one thing, checks every byte of the answer, and
// tells the ledger. How often, and how many at a time, is decided elsewhere.

import { Agent, request, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { bodyOf, type Ledger } from './ledger.ts';

const host = '127.0.0.1';
/** Whatever takes longer is a problem. */
const patienceMs = 60_000;

export interface Target {
  ledger: Ledger;
  port: number;
  /** Called at the end: what clients keep open. */
  closers: (() => void)[];
}

/** A GET on a connection that is kept; a new one every so often. */
export function getter(target: Target, bytes: number): () => Promise<void> {
  let agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let asked = 0;
  target.closers.push(() => agent.destroy());
  return async () => {
    const id = target.ledger.id(`get-${bytes}`);
    asked += 1;
    if (asked % 50 === 0) {
      agent.destroy();
      agent = new Agent({ keepAlive: true, maxSockets: 1 });
    }
    await ask(target, { id, path: `/bytes/${bytes}`, agent, expected: bodyOf(id, bytes) });
  };
}

export function poster(target: Target, bytes: number): () => Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  target.closers.push(() => agent.destroy());
  return async () => {
    const id = target.ledger.id(`post-${bytes}`);
    const body = bodyOf(id, bytes);
    await ask(target, { id, path: '/echo', agent, body, expected: body });
  };
}

interface Question {
  id: string;
  path: string;
  agent: Agent | false;
  body?: Buffer;
  expected: Buffer;
  /** Pauses for so long before it reads on, after the first bytes. */
  pauseMs?: number;
}

async function ask({ ledger, port }: Target, question: Question): Promise<void> {
  const { id, path, agent, body, expected, pauseMs = 0 } = question;
  const method = body === undefined ? 'GET' : 'POST';
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'x-soak-id': id };
      request({ host, port, path, method, agent, headers, timeout: patienceMs }, resolve)
        .on('error', reject)
        .on('timeout', () => reject(new Error('no answer in time')))
        .end(body);
    });
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const got = await buffer(answer);
    const { statusCode, headers } = answer;
    if (statusCode !== 200) ledger.problem(id, `status ${statusCode}: ${got.toString()}`);
    else if (headers['x-soak-id'] !== id)
      ledger.problem(id, `got the header of ${String(headers['x-soak-id'])}`);
    else if (!got.equals(expected)) ledger.problem(id, `body differs, ${got.length} bytes`);
    else ledger.answered(id);
  } catch (error) {
    ledger.problem(id, (error as Error).message);
  }
}

/** Reads a large answer late, on a connection of its own. */
export function slowReader(target: Target, bytes: number, pauseMs: number): () => Promise<void> {
  return async () => {
    const id = target.ledger.id('slow');
    const path = `/bytes/${bytes}`;
    await ask(target, { id, path, agent: false, expected: bodyOf(id, bytes), pauseMs });
  };
}

/** Leaves in the middle of a large answer, or of its own request. */
export function quitter({ ledger, port }: Target, bytes: number): () => Promise<void> {
  let turn = 0;
  return () => {
    turn += 1;
    const id = ledger.id('abort');
    const sends = turn % 2 === 0;
    return new Promise((resolve) => {
      const headers = { 'x-soak-id': id, ...(sends ? { 'content-length': bytes } : {}) };
      const method = sends ? 'POST' : 'GET';
      const path = sends ? '/echo' : `/bytes/${bytes}`;
      const asked = request({ host, port, path, method, agent: false, headers }, (answer) => {
        answer.on('error', () => undefined);
        answer.once('data', () => asked.destroy());
      });
      asked.on('error', () => undefined);
      asked.on('close', () => {
        ledger.left(id);
        resolve();
      });
      if (sends) asked.write(bodyOf(id, Math.floor(bytes / 2)));
      else asked.end();
    });
  };
}

/** A connection that is upgraded: lines go out and come back. */
export function upgrader({ ledger, port }: Target, lines: number): () => Promise<void> {
  return () => {
    const id = ledger.id('upgrade');
    const sent = bodyOf(id, lines * 100);
    return new Promise((resolve) => {
      const headers = { connection: 'upgrade', upgrade: 'soak', 'x-soak-id': id };
      const asked = request({ host, port, agent: false, headers, timeout: patienceMs });
      const fail = (what: string): void => {
        ledger.problem(id, what);
        asked.destroy();
        resolve();
      };
      asked.on('error', (error) => fail(error.message));
      asked.on('timeout', () => fail('no upgrade in time'));
      asked.on('response', ({ statusCode }) => fail(`not upgraded: ${statusCode}`));
      asked.on('upgrade', (answer, socket, head) => {
        socket.on('error', () => undefined);
        if (answer.headers['x-soak-id'] !== id) fail('got the upgrade of another');
        socket.unshift(head);
        for (let at = 0; at < sent.length; at += 100) socket.write(sent.subarray(at, at + 100));
        socket.end();
        buffer(socket).then(
          (got) => {
            if (got.equals(sent)) ledger.answered(id);
            else ledger.problem(id, `echo differs, ${got.length} of ${sent.length} bytes`);
            resolve();
          },
          (error: Error) => fail(error.message),
        );
      });
      asked.end();
    });
  };
}

/** Streams of a connection that is replaced after `streams` of them; some are cancelled on the way. */
export function streamer(target: Target, bytes: number, streams: number): () => Promise<void> {
  let session: ClientHttp2Session | null = null;
  let opened = 0;
  target.closers.push(() => session?.destroy());
  const current = (): ClientHttp2Session => {
    if (session === null || session.closed || session.destroyed || opened % streams === 0) {
      session?.close();
      session = connectHttp2(`http://${host}:${target.port}`);
      session.on('error', () => undefined);
    }
    opened += 1;
    return session;
  };
  return async () => {
    const cancels = opened % 10 === 9;
    await call(target.ledger, current(), { bytes, cancels });
  };
}

function call(
  ledger: Ledger,
  session: ClientHttp2Session,
  { bytes, cancels }: { bytes: number; cancels: boolean },
): Promise<void> {
  const id = ledger.id(cancels ? 'h2-cancel' : 'h2');
  const sent = bodyOf(id, bytes);
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/soak.Echo/Say',
      'content-type': 'application/grpc',
      te: 'trailers',
      'x-soak-id': id,
    });
    let header: unknown = null;
    let status: unknown = null;
    const chunks: Buffer[] = [];
    stream.setTimeout(patienceMs, () => stream.close());
    stream.on('response', (headers) => (header = headers['x-soak-id']));
    stream.on('trailers', (trailers) => (status = trailers['grpc-message']));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => {
      const got = Buffer.concat(chunks);
      if (cancels) ledger.left(id);
      else if (header !== id || status !== id)
        ledger.problem(
          id,
          `header ${String(header)}, trailer ${String(status)}, ${got.length} bytes`,
        );
      else if (!got.equals(sent)) ledger.problem(id, `body differs, ${got.length} bytes`);
      else ledger.answered(id);
      resolve();
    });
    if (cancels) {
      stream.write(sent);
      setImmediate(() => stream.close(8));
    } else stream.end(sent);
  });
}
