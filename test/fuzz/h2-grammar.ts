// Makes HTTP/2 frame sequences that are mostly right and often odd: as a client sends them, or as a server does.
import { frame, number } from '../../proxy/codec/test-frames.ts';
import { FLAG, FRAME } from '../../proxy/codec/h2-frames.ts';
import { HpackEncoder } from '../../proxy/codec/hpack-encoder.ts';
import type { Random } from './random.ts';

export const H2_WORDS: readonly string[] = [
  '\0\0\0\x04\0\0\0\0\0',
  '\0\0\x08\x06\0\0\0\0\0pingping',
  '\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08',
  '\0\0\x04\x08\0\0\0\0\0\x7f\xff\xff\xff',
  '\0\0\0\x09\x04\0\0\0\x01',
  '\0\0\x01\x00\x08\0\0\0\x01\x05',
  '\x82\x87\x84\x41\x01a',
  '\x3f\xe1\x1f',
  '\xff\xff\xff\xff',
];

const REQUESTS: readonly (readonly string[])[] = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'],
  [':method', 'POST', ':scheme', 'http', ':path', '/b', ':authority', 'a'],
  [':method', 'HEAD', ':scheme', 'http', ':path', '/', 'host', 'a'],
  [':method', 'CONNECT', ':authority', 'a:80'],
  [
    ':method',
    'CONNECT',
    ':protocol',
    'websocket',
    ':scheme',
    'http',
    ':path',
    '/',
    ':authority',
    'a',
  ],
];
const RESPONSES: readonly (readonly string[])[] = [
  [':status', '200'],
  [':status', '200'],
  [':status', '204'],
  [':status', '103'],
  [':status', '100'],
  [':status', '101'],
  [':status', '304'],
];
const FIELDS: readonly (readonly string[])[] = [
  ['cookie', 'a=1'],
  ['cookie', 'b=2'],
  ['te', 'trailers'],
  ['te', 'gzip'],
  ['connection', 'close'],
  ['content-length', '3'],
  ['content-length', '0'],
  ['host', 'a'],
  ['X-Upper', 'a'],
  ['x-a', ' b'],
  ['x-a', 'b\n'],
  ['x-b', 'c'],
  ['x-b', '\xe9'],
  [':path', '/late'],
  [':unknown', ''],
  ['', ''],
];

const HARMLESS: readonly (readonly string[])[] = [
  ['x-b', 'c'],
  ['cookie', 'a=1'],
  ['x-b', '\xe9'],
  ['x-long', 'd'.repeat(90)],
  ['grpc-status', '0'],
];

/** One side of a connection that talks at random; its header compression is one stream of state. */
export class FrameMaker {
  readonly #random: Random;
  readonly #encoder: HpackEncoder;
  readonly #heads: readonly (readonly string[])[];
  /** Streams are opened by clients only; a server speaks on those that there are. */
  #nextId: number;
  readonly #opens: boolean;
  /** An oddity that ends the connection comes about once in so many chances: most runs are to get far. */
  readonly #rarity: number;

  constructor(random: Random, opens: boolean) {
    this.#random = random;
    this.#encoder = new HpackEncoder(4096, random.oneIn(2) ? 'smaller' : 'never');
    this.#opens = opens;
    this.#heads = opens ? REQUESTS : RESPONSES;
    this.#nextId = opens ? 1 : 7;
    this.#rarity = random.pick([4, 40, 400]);
  }

  frames(): Buffer {
    const count = this.#random.between(1, 20);
    const first = this.#headers();
    return Buffer.concat([first, ...Array.from({ length: count }, () => this.#frame())]);
  }

  #odd(): boolean {
    return this.#random.oneIn(this.#rarity);
  }

  #id(): number {
    const random = this.#random;
    if (this.#odd()) return random.pick([0, 2, 99, 0x7fffffff]);
    return 1 + 2 * random.below(Math.max(1, (this.#nextId - 1) / 2));
  }

  #frame(): Buffer {
    const random = this.#random;
    switch (random.below(13)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#headers();
      case 4:
      case 5:
      case 6:
        return this.#data();
      case 7:
        return frame(
          FRAME.windowUpdate,
          0,
          random.oneIn(2) ? 0 : this.#id(),
          number(this.#odd() ? random.pick([0, 0x7fffffff]) : random.between(1, 1000)),
        );
      case 8:
        return frame(FRAME.rstStream, 0, this.#id(), number(random.pick([0, 5, 7, 8, 999])));
      case 9:
        return this.#settings();
      case 10:
        return frame(FRAME.ping, random.below(2), 0, random.bytes(this.#odd() ? 7 : 8));
      case 11:
        return random.oneIn(3)
          ? frame(
              FRAME.goaway,
              0,
              0,
              Buffer.concat([number(this.#id()), number(0), random.bytes(random.below(4))]),
            )
          : frame(FRAME.priority, 0, this.#id(), random.bytes(this.#odd() ? 4 : 5));
      default:
        return frame(
          this.#odd()
            ? random.pick([FRAME.pushPromise, FRAME.continuation])
            : random.pick([10, 200]),
          random.next() & 0xff,
          this.#id(),
          random.bytes(random.below(20)),
        );
    }
  }

  #settings(): Buffer {
    const random = this.#random;
    if (random.oneIn(3)) return frame(FRAME.settings, FLAG.ack, 0);
    const good = [
      [1, 0],
      [1, 100],
      [1, 65536],
      [3, 0],
      [3, 2],
      [4, 0],
      [4, 10],
      [4, 70000],
      [5, 16384],
      [6, 100],
      [99, 7],
    ];
    const bad = [
      [2, 1],
      [2, 2],
      [4, 0x80000000],
      [4, 0x7fffffff],
      [5, 0],
      [8, 2],
      [8, 1],
    ];
    const pairs = random.list(3, () => {
      const pair = Buffer.alloc(6);
      const [id, value] = random.pick(this.#odd() ? bad : good);
      pair.writeUInt16BE(id!, 0);
      pair.writeUInt32BE(value!, 2);
      return pair;
    });
    return frame(FRAME.settings, 0, 0, Buffer.concat(pairs));
  }

  #data(): Buffer {
    const random = this.#random;
    const flags = (random.oneIn(3) ? FLAG.endStream : 0) | (random.oneIn(6) ? FLAG.padded : 0);
    const body = random.bytes(random.size(400));
    if ((flags & FLAG.padded) === 0) return frame(FRAME.data, flags, this.#id(), body);
    const padding = random.below(9);
    const said = Buffer.from([this.#odd() ? 255 : padding]);
    return frame(FRAME.data, flags, this.#id(), Buffer.concat([said, body, Buffer.alloc(padding)]));
  }

  #headers(): Buffer {
    const random = this.#random;
    let id = this.#id();
    if (this.#opens && !random.oneIn(4)) {
      id = this.#nextId;
      this.#nextId += 2;
    }
    const end = random.oneIn(2) ? FLAG.endStream : 0;
    const block = this.#block();
    if (!random.oneIn(6)) return frame(FRAME.headers, end | FLAG.endHeaders, id, block);
    const cut = random.below(block.length + 1);
    return Buffer.concat([
      frame(FRAME.headers, end, id, block.subarray(0, cut)),
      frame(
        FRAME.continuation,
        FLAG.endHeaders,
        this.#odd() ? this.#id() : id,
        block.subarray(cut),
      ),
    ]);
  }

  #block(): Buffer {
    const random = this.#random;
    const odd = random.list(3, () => random.pick(this.#odd() ? FIELDS : HARMLESS));
    const trailers = random.oneIn(8);
    const all = [...(trailers ? [] : random.pick(this.#heads)), ...odd.flat()];
    if (this.#odd() && random.oneIn(4)) return random.bytes(random.below(30));
    const octets = all.reduce((sum, text) => sum + text.length, 0);
    const into = Buffer.alloc(HpackEncoder.room(octets, all.length / 2));
    this.#encoder.begin(into, 0);
    for (let i = 0; i < all.length; i += 2) {
      this.#encoder.field(all[i]!, all[i + 1]!, random.oneIn(9));
    }
    return into.subarray(0, this.#encoder.end());
  }
}
