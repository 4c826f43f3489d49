import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HpackDecoder } from './hpack-decoder.ts';
import type { FieldSink } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import type { HuffmanUse } from './hpack-encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from './hpack-huffman.ts';
import { vectors } from '../../test/support/vectors.ts';

class Collector implements FieldSink {
  fields: string[] = [];
  never: string[] = [];
  classified = 0;

  classify(name: string, value: string): number {
    this.classified++;
    return name.length * 1000 + value.length;
  }

  onField(name: string, value: string, note: number, never: boolean): void {
    if (note !== name.length * 1000 + value.length) throw new Error(`wrong note for ${name}`);
    this.fields.push(name, value);
    if (never) this.never.push(name);
  }

  take(): string[] {
    const fields = this.fields;
    this.fields = [];
    return fields;
  }
}

function encode(encoder: HpackEncoder, fields: string[]): string {
  const octets = fields.reduce((sum, part) => sum + part.length, 0);
  const into = Buffer.alloc(HpackEncoder.room(octets, fields.length / 2));
  encoder.begin(into, 0);
  for (let i = 0; i < fields.length; i += 2) encoder.field(fields[i]!, fields[i + 1]!);
  return into.toString('latin1', 0, encoder.end());
}

function decoder(maxTableBytes = 4096) {
  const sink = new Collector();
  return { sink, decoder: new HpackDecoder(maxTableBytes, sink) };
}

const hex = (text: string): string =>
  Buffer.from(text.replace(/\s/g, ''), 'hex').toString('latin1');

interface Story {
  cases: { wire: string; header_table_size?: number; headers: Record<string, string>[] }[];
}

const VECTORS = vectors('hpack');
const STORIES = existsSync(VECTORS)
  ? readdirSync(VECTORS, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => readdirSync(`${VECTORS}/${name}`).map((file) => `${name}/${file}`))
  : [];

function story(name: string): Story {
  return JSON.parse(readFileSync(`${VECTORS}/${name}`, 'utf8')) as Story;
}

/** The stories hold their fields as UTF-8 text; on the wire they are bytes. */
function fieldsOf(headers: Record<string, string>[]): string[] {
  return headers.flatMap((header) => Object.entries(header).flat()).map(latin1);
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

describe('the hpack-test-case stories', () => {
  if (STORIES.length === 0) {
    it('are absent here: decoding and re-encoding of them is left out', () => {
      expect(existsSync(VECTORS)).toBe(false);
    });
    return;
  }

  it.each(STORIES)('%s is decoded', (name) => {
    const { sink, decoder: hpack } = decoder(65536);
    for (const { wire, headers } of story(name).cases) {
      expect(hpack.decode(hex(wire))).toBe(true);
      expect(sink.take()).toEqual(fieldsOf(headers));
    }
  });

  it.each(STORIES)('%s survives encoding and decoding, plain and with Huffman', (name) => {
    for (const huffman of ['never', 'smaller'] as HuffmanUse[]) {
      const encoder = new HpackEncoder(4096, huffman);
      const { sink, decoder: hpack } = decoder();
      for (const { headers, header_table_size: size } of story(name).cases) {
        if (size !== undefined) encoder.setPeerLimit(Math.min(size, 4096));
        const fields = fieldsOf(headers);
        expect(hpack.decode(encode(encoder, fields))).toBe(true);
        expect(sink.take()).toEqual(fields);
      }
    }
  });
});

describe('Huffman', () => {
  const encoded = (text: string): string => {
    const into = Buffer.alloc(text.length * 4 + 8);
    return into.toString('latin1', 0, huffmanEncode(text, into, 0));
  };

  it('codes the examples of RFC 7541 Appendix C', () => {
    expect(encoded('www.example.com')).toBe(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff'));
    expect(encoded('no-cache')).toBe(hex('a8eb 1064 9cbf'));
    expect(encoded('Mon, 21 Oct 2013 20:13:21 GMT')).toBe(
      hex('d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff'),
    );
  });

  it('decodes what it encoded, for every octet and any text', () => {
    const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array().map((b) => Buffer.from(b).toString('latin1')),
          fc.constant(all),
        ),
        (text) => {
          const coded = encoded(text);
          expect(coded).toHaveLength(huffmanLength(text));
          const into = Buffer.alloc(coded.length * 2);
          const length = huffmanDecode(coded, 0, coded.length, into);
          expect(into.toString('latin1', 0, length)).toBe(text);
        },
      ),
    );
  });

  it.each([
    ['EOS', 'ffffffff'],
    ['EOS after a character', '1fffffffff'],
    ['padding of zeros', '18'],
    ['a whole byte of padding', '1fff'],
    ['padding that is the start of another code', 'f1e2'],
  ])('refuses %s', (_what, code) => {
    const text = hex(code);
    expect(huffmanDecode(text, 0, text.length, Buffer.alloc(64))).toBe(-1);
  });

  it('takes padding of up to seven ones', () => {
    const into = Buffer.alloc(8);
    expect(huffmanDecode(hex('1f'), 0, 1, into)).toBe(1);
    expect(into.toString('latin1', 0, 1)).toBe('a');
    expect(huffmanDecode('', 0, 0, into)).toBe(0);
  });
});

describe('an HPACK decoder', () => {
  it('decodes the request examples of RFC 7541 C.4, with the table they leave', () => {
    const { sink, decoder: hpack } = decoder();
    expect(hpack.decode(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'))).toBe(true);
    expect(hpack.decode(hex('8286 84be 5886 a8eb 1064 9cbf'))).toBe(true);
    sink.take();
    expect(hpack.decode(hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'))).toBe(
      true,
    );
    expect(sink.take()).toEqual([
      ':method',
      'GET',
      ':scheme',
      'https',
      ':path',
      '/index.html',
      ':authority',
      'www.example.com',
      'custom-key',
      'custom-value',
    ]);
    expect(hpack.tableBytes).toBe(164);
  });

  it('decodes the response examples of RFC 7541 C.6 with evictions', () => {
    const { sink, decoder: hpack } = decoder(256);
    hpack.decode(
      hex(
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      ),
    );
    hpack.decode(hex('4883 640e ffc1 c0bf'));
    expect(sink.take().slice(8)).toEqual([
      ':status',
      '307',
      'cache-control',
      'private',
      'date',
      'Mon, 21 Oct 2013 20:13:21 GMT',
      'location',
      'https://www.example.com',
    ]);
    expect(hpack.tableBytes).toBe(222);
  });

  it('says which fields are never to be indexed', () => {
    const { sink, decoder: hpack } = decoder();
    expect(hpack.decode(hex('1008 7061 7373 776f 7264 0673 6563 7265 74'))).toBe(true);
    expect(sink).toMatchObject({ fields: ['password', 'secret'], never: ['password'] });
    expect(hpack.tableBytes).toBe(0);
  });

  it('classifies an entry of a table once', () => {
    const { sink, decoder: hpack } = decoder();
    const before = sink.classified;
    hpack.decode(hex('4001 6101 62'));
    hpack.decode(hex('bebebebe'));
    expect(sink.classified - before).toBe(1);
    expect(sink.fields).toHaveLength(10);
  });

  it('empties the table for an entry that is larger than it', () => {
    const { sink, decoder: hpack } = decoder(64);
    hpack.decode(hex('4001 6101 62'));
    expect(hpack.tableBytes).toBe(34);
    expect(hpack.decode(`@\x01a\x28${'x'.repeat(40)}`)).toBe(true);
    expect(hpack.tableBytes).toBe(0);
    expect(sink.fields).toHaveLength(4);
  });

  it.each([
    ['index 0', '80'],
    ['an index beyond the table', 'be'],
    ['a name index beyond the table', '7e0161'],
    ['a string that is cut off', '4003 6162'],
    ['a missing value', '4001 61'],
    ['a missing name', '40'],
    ['a length that never ends', '40 7fff ffff ffff'],
    ['an integer that is cut off', 'ff'],
    ['an index of more than 28 bits', 'ffff ffff ff7f'],
    ['a size update after a field', '8220'],
    ['a size update above the limit', '3fe2 1f'],
    ['bad Huffman', '4001 6181 18'],
    ['a bad name length', '40 ff'],
  ])('refuses %s', (_what, block) => {
    expect(decoder().decoder.decode(hex(block))).toBe(false);
  });

  it('obeys size updates at the start of a block', () => {
    const { decoder: hpack } = decoder();
    hpack.decode(hex('4001 6101 62'));
    expect(hpack.decode(hex('203f e11f'))).toBe(true);
    expect(hpack.tableBytes).toBe(0);
  });

  it('never throws, whatever it is fed', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), (blocks) => {
        const { decoder: hpack } = decoder(128);
        for (const block of blocks) hpack.decode(Buffer.from(block).toString('latin1'));
        return hpack.tableBytes <= 128;
      }),
    );
  });
});

describe('an HPACK encoder', () => {
  const pair = (huffman: HuffmanUse = 'never', tableBytes = 4096) => ({
    encoder: new HpackEncoder(tableBytes, huffman),
    ...decoder(),
  });

  it('uses the static table, then its own, then literals', () => {
    const { encoder } = pair();
    expect(encode(encoder, [':method', 'GET', ':path', '/'])).toBe(hex('8284'));
    expect(encode(encoder, ['x-a', '1'])).toBe(hex('4003 782d 6101 31'));
    expect(encode(encoder, ['x-a', '1'])).toBe(hex('be'));
    expect(encode(encoder, ['x-a', '2'])).toBe(hex('7e01 32'));
  });

  it('never indexes what is sensitive, or said to be', () => {
    const { encoder, sink, decoder: hpack } = pair('smaller');
    for (let i = 0; i < 3; i++) {
      hpack.decode(
        encode(encoder, ['authorization', 'Bearer x', 'cookie', 'a=b', 'set-cookie', 'c']),
      );
    }
    expect(sink.never).toHaveLength(9);
    expect(hpack.tableBytes).toBe(0);
    const into = Buffer.alloc(100);
    encoder.begin(into, 0);
    encoder.field('x-secret', 'v', true);
    hpack.decode(into.toString('latin1', 0, encoder.end()));
    expect(sink.never[9]).toBe('x-secret');
  });

  it('stops indexing a name whose values never come back, and begins again when one does', () => {
    const { encoder, sink, decoder: hpack } = pair();
    for (let i = 0; i < 100; i++) hpack.decode(encode(encoder, [':path', `/item/${i}`]));
    expect(hpack.tableBytes).toBeLessThan(200);
    encode(encoder, [':path', '/same']);
    hpack.decode(encode(encoder, [':path', '/same']));
    expect(encode(encoder, [':path', '/same'])).toHaveLength(1);
    expect(sink.fields).toHaveLength(202);
  });

  it('does not spend the table on very long values', () => {
    const { encoder } = pair();
    const block = encode(encoder, ['x', 'y'.repeat(2000)]);
    expect(encode(encoder, ['x', 'y'.repeat(2000)])).toBe(block);
  });

  it('announces smaller tables, the smallest in between too', () => {
    const { encoder, sink, decoder: hpack } = pair();
    hpack.decode(encode(encoder, ['a', '1', 'b', '2']));
    encoder.setPeerLimit(4096);
    encoder.setPeerLimit(0);
    encoder.setPeerLimit(100);
    const block = encode(encoder, ['a', '1']);
    expect(block.slice(0, 3)).toBe(hex('203f45'));
    expect(hpack.decode(block)).toBe(true);
    expect(hpack.tableBytes).toBe(34);
    expect(sink.fields.slice(4)).toEqual(['a', '1']);
  });

  it('says at once when it wants a smaller table than the default', () => {
    expect(encode(new HpackEncoder(0, 'never'), ['a', '1'])).toBe(hex('20 4001 6101 31'));
  });

  it('and decoder agree, whatever the fields, sizes and evictions', () => {
    const word = fc.constantFrom('a', 'b', 'cookie', ':path', 'x-long-name', 'etag', 'date');
    const value = fc.oneof(
      fc.constantFrom('', '/', 'gzip, deflate', 'v1', 'v2', 'w'.repeat(90)),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    );
    const block = fc.array(fc.tuple(word, value), { maxLength: 8 });
    const step = fc.tuple(block, fc.option(fc.integer({ min: 0, max: 300 })));
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 12 }),
        fc.constantFrom('never', 'smaller'),
        (steps, huffman) => {
          const encoder = new HpackEncoder(300, huffman as HuffmanUse);
          const { sink, decoder: hpack } = decoder(4096);
          for (const [fields, limit] of steps) {
            if (limit !== null) encoder.setPeerLimit(limit);
            expect(hpack.decode(encode(encoder, fields.flat()))).toBe(true);
            expect(sink.take()).toEqual(fields.flat());
          }
        },
      ),
    );
  });
});
