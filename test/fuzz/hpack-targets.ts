// Fuzz targets for HPACK: whatever comes is decoded or refused within bounds, and what is encoded is what is decoded.
import { HpackDecoder } from '../../proxy/codec/hpack-decoder.ts';
import { HpackEncoder } from '../../proxy/codec/hpack-encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from '../../proxy/codec/hpack-huffman.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const WORDS = [
  '\x3f\xe1\x1f',
  '\xff\xff\xff\xff\x7f',
  '\x40',
  '\x10',
  '\x82',
  '\xbe',
  '\x20',
  '\x00\x00',
];
const NAMES = [
  'a',
  'cookie',
  'x-b',
  ':path',
  ':method',
  'authorization',
  'etag',
  'x-long-name-here',
];

interface Decoded {
  fields: [string, string, boolean][];
  octets: number;
}

function decoderInto(into: Decoded, limit: number): HpackDecoder {
  return new HpackDecoder(limit, {
    classify: (name, value) => (name.length * 31 + value.length) | 0,
    onField(name, value, note, never) {
      const right = ((name.length * 31 + value.length) | 0) === note;
      must(right, 'a field comes with the note of another');
      into.octets += name.length + value.length;
      into.fields.push([name, value, never]);
    },
  });
}

function value(random: Random): string {
  if (random.oneIn(3)) return random.pick(['', '1', 'GET', '/', 'a=b', 'v'.repeat(300)]);
  return random.chars('abcdefgh0189/=;, \xe9\x00\xff~', random.size(120));
}

type Field = [string, string, boolean];

function fields(random: Random): Field[] {
  return random.list(12, () => [
    random.oneIn(3) ? random.chars('abc-', random.between(1, 10)) : random.pick(NAMES),
    value(random),
    random.oneIn(10),
  ]);
}

function encoded(encoder: HpackEncoder, list: readonly Field[]): Buffer {
  const octets = list.reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  const into = Buffer.alloc(HpackEncoder.room(octets, list.length));
  encoder.begin(into, 0);
  for (const [name, text, never] of list) encoder.field(name, text, never);
  const end = encoder.end();
  must(end <= into.length, 'a block is longer than its room');
  return into.subarray(0, end);
}

const roundTrip: Target = {
  name: 'hpack-round-trip',
  run(random) {
    const limit = random.pick([0, 64, 300, 4096, 65536]);
    const into: Decoded = { fields: [], octets: 0 };
    const decoder = decoderInto(into, limit);
    const own = random.pick([0, 100, 4096, 65536]);
    const encoder = new HpackEncoder(own, random.oneIn(2) ? 'smaller' : 'never');
    encoder.setPeerLimit(limit);
    for (let left = random.between(1, 20); left > 0; left--) {
      const list = fields(random);
      into.fields = [];
      const good = decoder.decode(encoded(encoder, list).toString('latin1'));
      must(good, 'what was encoded cannot be decoded', () => list);
      const pairs = (all: readonly Field[]): unknown => all.map(([name, text]) => [name, text]);
      mustEqual(pairs(into.fields), pairs(list), 'what was encoded is decoded as something else');
      const never = list.filter(([, , n]) => n).length;
      const heard = into.fields.filter(([, , n]) => n).length;
      must(heard >= never, 'a field that is never to be indexed loses its mark');
      must(decoder.tableBytes <= limit, 'the table grows beyond what was granted');
      if (random.oneIn(5)) encoder.setPeerLimit(random.below(limit + 1));
    }
  },
};

const decode: Target = {
  name: 'hpack-decoder',
  run(random) {
    const limit = random.pick([0, 100, 4096]);
    const into: Decoded = { fields: [], octets: 0 };
    const decoder = decoderInto(into, limit);
    const encoder = new HpackEncoder(limit, 'smaller');
    for (let left = random.between(1, 6); left > 0; left--) {
      const block = random.oneIn(4)
        ? random.bytes(random.size(100))
        : encoded(encoder, fields(random));
      const spoilt = random.oneIn(2) ? mutate(random, block, WORDS) : block;
      into.octets = 0;
      const good = decoder.decode(spoilt.toString('latin1'));
      // One octet refers to an entry, and a Huffman code is 5 bits at least.
      const most = spoilt.length * Math.max(limit, 64) + spoilt.length * 2;
      must(into.octets <= most, 'a block makes more of itself than a table can hold');
      must(decoder.tableBytes <= limit, 'the table grows beyond what was granted');
      if (!good) return;
    }
  },
};

const huffman: Target = {
  name: 'huffman',
  small: true,
  run(random) {
    const text = random.bytes(random.size(200)).toString('latin1');
    const coded = Buffer.alloc(huffmanLength(text));
    must(huffmanEncode(text, coded, 0) === coded.length, 'a code has another length than said');
    const back = Buffer.alloc(coded.length * 2);
    const length = huffmanDecode(coded.toString('latin1'), 0, coded.length, back);
    mustEqual(back.toString('latin1', 0, length), text, 'a text changes');
    const spoilt = random.oneIn(2) ? random.bytes(random.size(60)) : mutate(random, coded, WORDS);
    const into = Buffer.alloc(spoilt.length * 2);
    const got = huffmanDecode(spoilt.toString('latin1'), 0, spoilt.length, into);
    must(got >= -1 && got <= into.length, 'a text is longer than it can be', () => got);
    if (got < 0) return;
    // Every code has one spelling: what can be decoded is what would have been encoded.
    const again = Buffer.alloc(huffmanLength(into.toString('latin1', 0, got)));
    huffmanEncode(into.toString('latin1', 0, got), again, 0);
    must(again.equals(spoilt), 'a text has two codes', () => spoilt.toString('hex'));
  },
};

export const hpackTargets: readonly Target[] = [roundTrip, decode, huffman];
