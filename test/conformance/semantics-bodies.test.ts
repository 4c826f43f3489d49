// Large bodies both ways, byte for byte, through sidecars as processes whose memory is watched meanwhile: two with
// mutual TLS, and the callee's alone in plaintext; HTTP/1.1 and HTTP/2.

import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { listenOn } from '../support/mesh-pair.ts';
import { residentBytes, startProcessPair, type ProcessPair } from '../support/process-pair.ts';
import { sizeOf } from '../support/samples.ts';

const mebibytes = sizeOf('largeBodyMebibytes');
const chunkBytes = 1 << 20;
/** What a sidecar may take for it: windows, socket buffers and garbage, however long the body is. */
const mostGrowthBytes = 96 << 20;

/** A body that repeats nowhere, and its digest once it was read. */
function newBody(): { stream: Readable; digest(): string } {
  const hash = createHash('sha256');
  const noise = randomBytes(chunkBytes);
  function* chunks() {
    for (let i = 0; i < mebibytes; i += 1) {
      const chunk = Buffer.from(noise);
      chunk.writeUInt32BE(i, 0);
      hash.update(chunk);
      yield chunk;
    }
  }
  return {
    stream: Readable.from(chunks(), { objectMode: false }),
    digest: () => hash.digest('hex'),
  };
}

async function digestOf(stream: Readable): Promise<{ digest: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { digest: hash.digest('hex'), bytes };
}

let lastSent: () => string = () => '';

function serve(request: Readable & { method: string }, response: NodeJS.WritableStream): void {
  if (request.method === 'GET') {
    const body = newBody();
    lastSent = () => body.digest();
    pipeline(body.stream, response).catch(() => undefined);
    return;
  }
  digestOf(request).then(
    ({ digest, bytes }) => response.end(`${digest} ${bytes}`),
    () => undefined,
  );
}

let pair: ProcessPair;
const servers: Server[] = [];

beforeAll(async () => {
  const one = http.createServer((request, response) => serve(request as never, response));
  const two = http2.createServer((request, response) => serve(request as never, response.stream));
  servers.push(one, two as unknown as Server);
  const apps = [
    { name: 'one', protocol: 'http1' as const, address: await listenOn(one) },
    {
      name: 'two',
      protocol: 'http2' as const,
      address: (await listenOn(servers[1]!)) as AddressInfo,
    },
  ];
  pair = await startProcessPair({ apps, mtls: 'PERMISSIVE' });
}, 30_000);

afterAll(async () => {
  await pair.close();
  for (const server of servers) server.close();
});

/** Watches both sidecars while `run` runs; answers by how much the larger one grew. */
async function growthDuring(run: () => Promise<void>): Promise<number> {
  const pids = [pair.caller.pid, pair.callee.pid];
  const before = pids.map(residentBytes);
  let most = 0;
  const timer = setInterval(() => {
    const grown = pids.map((pid, i) => residentBytes(pid) - before[i]!);
    most = Math.max(most, ...grown);
  }, 20);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  return most;
}

type Exchange = (port: number, method: string, body: Readable | null) => Promise<Readable>;

const exchange1: Exchange = (port, method, body) =>
  new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, agent: false }, resolve);
    request.on('error', reject);
    if (body === null) request.end();
    else pipeline(body, request).catch(reject);
  });

const exchange2: Exchange = (port, method, body) =>
  new Promise((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const stream = session.request({ ':method': method }, { endStream: body === null });
    stream.on('error', reject);
    stream.on('close', () => session.close());
    stream.on('response', () => resolve(stream));
    if (body !== null) pipeline(body, stream).catch(reject);
  });

const ways = ['entry', 'inbound'] as const;
const whole = mebibytes * chunkBytes;

describe.each([
  ['HTTP/1.1', 'one', exchange1],
  ['HTTP/2', 'two', exchange2],
] as const)(`${mebibytes} MiB over %s`, (_, name, exchange) => {
  it.each(ways)(
    'arrive unchanged from the client, memory stays flat (%s)',
    async (way) => {
      const body = newBody();
      let said = '';
      const grown = await growthDuring(async () => {
        const answer = await exchange(pair[way][name]!, 'POST', body.stream);
        for await (const chunk of answer as AsyncIterable<Buffer>) said += chunk.toString();
      });
      expect(said).toBe(`${body.digest()} ${whole}`);
      expect(grown).toBeLessThan(mostGrowthBytes);
    },
    180_000,
  );

  it.each(ways)(
    'arrive unchanged from the app, memory stays flat (%s)',
    async (way) => {
      let received = { digest: '', bytes: 0 };
      const grown = await growthDuring(async () => {
        received = await digestOf(await exchange(pair[way][name]!, 'GET', null));
      });
      expect(received).toEqual({ digest: lastSent(), bytes: whole });
      expect(grown).toBeLessThan(mostGrowthBytes);
    },
    180_000,
  );
});
