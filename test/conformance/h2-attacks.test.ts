// Floods and other abuse of HTTP/2 against sidecars as processes: the attacker's connection ends or is bounded, memory
// stays flat, and others are served. What each frame costs is judged in proxy/codec/h2-floods.test.ts.
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { H2_PREFACE } from '../../proxy/codec/detect.ts';
import { FLAG, FRAME, H2_ERROR } from '../../proxy/codec/h2-frames.ts';
import {
  END,
  GET,
  POST,
  SETTINGS,
  block,
  frame,
  headers,
  number,
  setting,
} from '../../proxy/codec/test-frames.ts';
import { sizeOf } from '../support/samples.ts';
import { listenOn, startPair } from '../support/mesh-pair.ts';
import { workload } from '../support/sidecar.ts';
import {
  startApp,
  startProcessMesh,
  startTlsRelay,
  type App,
  type Listening,
  type ProcessMesh,
} from './h2spec-mesh.ts';

/** For busy machines: each takes a second or two. */
jest.setTimeout(60_000);

/** What a sidecar may grow by under any of these, in bytes: buffers of sockets, a few windows, garbage. */
const MOST_GROWTH = 120 * 1024 * 1024;
const ACK = frame(FRAME.settings, FLAG.ack, 0);

let app: App;
let mesh: ProcessMesh;
let relay: Listening;
const sockets: Socket[] = [];

beforeAll(async () => {
  app = await startApp(Buffer.alloc(1_000_000, 'x'));
  mesh = await startProcessMesh(app.address);
  relay = await startTlsRelay(mesh.inboundPort, mesh.peerIdentity);
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

afterAll(async () => {
  await mesh.close();
  relay.close();
  app.close();
});

function residentBytes(): number {
  const pages = [mesh.caller, mesh.callee].map(({ pid }) =>
    Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]),
  );
  return (pages[0]! + pages[1]!) * 4096;
}

/** Frames of a peer as they came; payloads of DATA are not kept. */
class Heard {
  goaway = -1;
  readonly resets = new Map<number, number>();
  dataBytes = 0;
  closed = false;
  heads = 0;
  #rest = Buffer.alloc(0);

  take(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 9) {
      const end = 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      this.#frame(bytes[3]!, bytes.readUInt32BE(5), bytes.subarray(9, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = Buffer.from(bytes);
  }

  #frame(type: number, id: number, payload: Buffer): void {
    if (type === FRAME.goaway) this.goaway = payload.readUInt32BE(4);
    if (type === FRAME.rstStream) this.resets.set(id, payload.readUInt32BE(0));
    if (type === FRAME.data) this.dataBytes += payload.length;
    if (type === FRAME.headers) this.heads += 1;
  }
}

interface Attacker {
  socket: Socket;
  heard: Heard;
  /** Resolves when all is written, or the connection has ended. */
  send: (bytes: Buffer) => Promise<void>;
}

function attack(port: number, settings: Buffer = SETTINGS): Attacker {
  const socket = connect({ port, host: '127.0.0.1' });
  sockets.push(socket);
  const heard = new Heard();
  socket.on('data', (chunk: Buffer) => heard.take(chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => (heard.closed = true));
  const send = (bytes: Buffer) =>
    new Promise<void>((resolve) => {
      if (heard.closed || socket.write(bytes)) return resolve();
      socket.once('drain', resolve);
      socket.once('close', () => resolve());
    });
  void send(Buffer.concat([H2_PREFACE, settings, ACK]));
  return { socket, heard, send };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A request of somebody else at the same port. */
function isServed(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const stream = session.request({ ':path': '/' });
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    stream.on('error', reject);
    stream.on('end', () => {
      session.destroy();
      resolve(bytes === 1_000_000);
    });
  });
}

const repeat = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

const FLOODS: readonly (readonly [string, (round: number) => Buffer])[] = [
  [
    'rapid reset',
    (round) =>
      repeat(500, (i) => {
        const id = (round * 500 + i) * 2 + 1;
        return Buffer.concat([headers(id, END, ...GET), frame(FRAME.rstStream, 0, id, number(8))]);
      }),
  ],
  ['PING', () => repeat(2000, () => frame(FRAME.ping, 0, 0, '12345678'))],
  ['acknowledged PING', () => repeat(2000, () => frame(FRAME.ping, FLAG.ack, 0, '12345678'))],
  ['SETTINGS', () => repeat(2000, () => setting(4, 70_000))],
  ['WINDOW_UPDATE', () => repeat(2000, () => frame(FRAME.windowUpdate, 0, 0, number(1)))],
  [
    'empty DATA',
    (round) =>
      Buffer.concat([
        headers(2 * round + 1, FLAG.endHeaders, ...POST),
        repeat(500, () => frame(FRAME.data, 0, 2 * round + 1)),
      ]),
  ],
  [
    'CONTINUATION',
    (round) =>
      Buffer.concat([
        round === 0 ? headers(1, 0, ...GET) : Buffer.alloc(0),
        repeat(500, () => frame(FRAME.continuation, 0, 1, 'x'.repeat(100))),
      ]),
  ],
  ['PRIORITY', () => repeat(2000, () => frame(FRAME.priority, 0, 1, '\0\0\0\0\x01'))],
  ['unknown frames', () => repeat(2000, () => frame(77, 0, 0, 'x'))],
  [
    'requests that are malformed',
    (round) => repeat(500, (i) => headers((round * 500 + i) * 2 + 1, END, 'a', 'b')),
  ],
  [
    'heads that grow beyond the limit by HPACK',
    (round) => repeat(50, (i) => headerBomb((round * 50 + i) * 2 + 1)),
  ],
];

/** One entry of 3.9 KB, and thousands of one-byte references to it: 40 MB if it were put together. */
function headerBomb(id: number): Buffer {
  const entry = Buffer.concat([
    Buffer.from('@\x01a\x7f\xbd\x1d', 'latin1'),
    Buffer.alloc(3900, 'v'),
  ]);
  const references = Buffer.alloc(10_000, 0xbe);
  return frame(FRAME.headers, END, id, Buffer.concat([block(...GET), entry, references]));
}

const SIDES = ['an app', 'a peer'] as const;
const portOf = (side: (typeof SIDES)[number]): number =>
  side === 'an app' ? mesh.outboundPort : relay.port;

describe.each(SIDES)('a flood of %s', (side) => {
  // Between sidecars resets of an overloaded app are many and honest, so ten times as much is borne.
  const rounds = side === 'an app' ? 400 : 1500;
  const borne = FLOODS.filter(([name]) => !/rapid|HPACK/.test(name));
  const floods = side === 'an app' ? FLOODS : borne.slice(0, sizeOf('h2PeerFloods'));

  it.each(floods)('is ended: %s', async (_name, make) => {
    const before = residentBytes();
    const port = portOf(side);
    const { heard, send } = attack(port);
    for (let round = 0; round < rounds && !heard.closed && heard.goaway < 0; round += 1) {
      await send(make(round));
      // What the sidecar says is read, before what comes of not stopping.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the connection ends', () => heard.closed);
    expect(heard.goaway).toBe(H2_ERROR.enhanceYourCalm);
    expect(await isServed(port)).toBe(true);
    expect(residentBytes() - before).toBeLessThan(MOST_GROWTH);
  });
});

describe.each(SIDES)('abuse by %s', (side) => {
  it('that sends PING and reads nothing ends its connection', async () => {
    const before = residentBytes();
    const { socket, heard, send } = attack(portOf(side));
    socket.pause();
    const pings = repeat(5000, () => frame(FRAME.ping, 0, 0, '12345678'));
    for (let round = 0; round < 400 && !heard.closed && socket.writable; round += 1) {
      // What is not read is answered no longer, so the writer waits or is closed.
      await Promise.race([send(pings), new Promise((resolve) => setTimeout(resolve, 100))]);
      if (socket.writableLength > 4_000_000) break;
    }
    expect(await isServed(portOf(side))).toBe(true);
    expect(residentBytes() - before).toBeLessThan(MOST_GROWTH);
  });

  it('that changes the size of the HPACK table as often as a block has room is taken in order', async () => {
    const { heard, send } = attack(portOf(side));
    const updates = Buffer.concat(Array.from({ length: 5000 }, () => Buffer.from([0x20, 0x3e])));
    const bytes = Buffer.concat([updates, block(...GET)]);
    for (let i = 0; i < 20; i += 1) {
      await send(frame(FRAME.headers, END, 2 * i + 1, bytes));
    }
    await until('all are answered', () => heard.heads === 20 || heard.closed);
    expect(heard).toMatchObject({ heads: 20, goaway: -1 });
  });

  it('that opens no window of a thousand streams holds no more than bounded memory', async () => {
    const before = residentBytes();
    const port = portOf(side);
    const { heard, send } = attack(port, setting(4, 0));
    for (let i = 0; i < 1000; i += 1) await send(headers(2 * i + 1, END, ...GET));
    await until('all are answered or refused', () => heard.heads + heard.resets.size >= 1000);
    expect(heard).toMatchObject({ dataBytes: 0, closed: false });
    expect(await isServed(port)).toBe(true);
    expect(residentBytes() - before).toBeLessThan(MOST_GROWTH);
  });

  it('that opens its windows by one octet at a time holds no more than bounded memory', async () => {
    const before = residentBytes();
    const port = portOf(side);
    const { heard, send } = attack(port, setting(4, 1));
    for (let i = 0; i < 100; i += 1) await send(headers(2 * i + 1, END, ...GET));
    // The rest wait until the first have moved: all are requests of one client, on one connection.
    await until('some have their octet', () => heard.heads + heard.resets.size >= 100);
    expect(heard.dataBytes).toBeGreaterThan(0);
    for (let i = 0; i < 30; i += 1) {
      await send(repeat(100, (k) => frame(FRAME.windowUpdate, 0, 2 * k + 1, number(1))));
    }
    expect(await isServed(port)).toBe(true);
    expect(residentBytes() - before).toBeLessThan(MOST_GROWTH);
  });
});

describe('the whole net stack', () => {
  it('HEADERS that never end cost the connection in time', async () => {
    const server = http2.createServer();
    const pair = await startPair(await listenOn(server), {}, { headTimeoutMs: 300 });
    pair.route({ protocol: 'http2' });
    pair.callee.apply(workload({ mtls: 'STRICT', protocol: 'http2' }));
    try {
      const { heard, send } = attack(pair.caller.outbound.address.port);
      await send(headers(1, FLAG.endStream, ...GET));
      await until('it ends', () => heard.closed);
      expect(heard.goaway).toBe(H2_ERROR.enhanceYourCalm);
    } finally {
      pair.close();
      server.close();
    }
  });
});
