import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { MAX_CLIENT_HELLO_BYTES, parseClientHello } from './client-hello.ts';

/** The first flight of Node's own TLS client. */
async function realHello(options: {
  servername?: string;
  ALPNProtocols?: string[];
}): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => {},
      write: (chunk: Buffer) => resolve(chunk),
    });
    connect({ socket: wire, rejectUnauthorized: false, ...options }).on('error', () => {});
  });
}

/** The same handshake message in records of `size` bytes. */
function fragmented(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

function helloWith(body: Buffer): Buffer {
  const message = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]);
  return Buffer.concat([
    Buffer.from([22, 3, 1, message.length >> 8, message.length & 255]),
    message,
  ]);
}

const FIXED = Buffer.concat([Buffer.alloc(34), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])]);

function extensions(...list: [number, Buffer][]): Buffer {
  const parts = list.map(([type, data]) => {
    const head = Buffer.alloc(4);
    head.writeUInt16BE(type, 0);
    head.writeUInt16BE(data.length, 2);
    return Buffer.concat([head, data]);
  });
  const all = Buffer.concat(parts);
  return Buffer.concat([FIXED, Buffer.from([all.length >> 8, all.length & 255]), all]);
}

describe('the ClientHello of a real TLS client', () => {
  let hello: Buffer;
  beforeAll(async () => {
    hello = await realHello({ servername: 'cart.shop.svc', ALPNProtocols: ['tsmesh-h2', 'h2'] });
  });

  const expected = { serverName: 'cart.shop.svc', alpn: ['tsmesh-h2', 'h2'] };

  it('gives server name and ALPN', () => {
    expect(parseClientHello(hello)).toEqual(expected);
    expect(parseClientHello(Buffer.concat([hello, Buffer.from('more')]))).toEqual(expected);
  });

  it('needs more at every earlier byte', () => {
    for (let length = 0; length < hello.length; length++) {
      expect(parseClientHello(hello.subarray(0, length))).toBe('need-more');
    }
  });

  it('may be cut into records anywhere', () => {
    for (const size of [1, 2, 3, 4, 5, 7, 100, 1000]) {
      const cut = fragmented(hello, size);
      expect(parseClientHello(cut)).toEqual(expected);
      expect(parseClientHello(cut.subarray(0, cut.length - 1))).toBe('need-more');
    }
  });

  it('may have neither', async () => {
    expect(parseClientHello(await realHello({}))).toEqual({ serverName: null, alpn: [] });
  });

  it('never makes the parser throw when it is damaged', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 6 }), (changes) => {
        const damaged = Buffer.from(hello);
        for (const [at, byte] of changes) if (at < damaged.length) damaged[at] = byte;
        parseClientHello(damaged);
        return true;
      }),
    );
  });
});

describe('a ClientHello', () => {
  it('may have no extensions at all', () => {
    expect(parseClientHello(helloWith(FIXED))).toEqual({ serverName: null, alpn: [] });
  });

  it('keeps the first server name only', () => {
    const two = Buffer.from([0, 8, 0, 0, 1, 0x61, 0, 0, 1, 0x62]);
    expect(parseClientHello(helloWith(extensions([0, two])))).toMatchObject({ serverName: 'a' });
    const other = Buffer.from([0, 4, 7, 0, 1, 0x61]);
    expect(parseClientHello(helloWith(extensions([0, other])))).toMatchObject({ serverName: null });
  });

  it.each([
    ['another handshake message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
    ['another record', Buffer.from([23, 3, 1, 0, 4, 1, 0, 0, 0])],
    ['another version', Buffer.from([22, 2, 1, 0, 4, 1, 0, 0, 0])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a record that is too long', Buffer.from([22, 3, 1, 0x40, 1, 1])],
    ['a message that is too long', Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0])],
    ['a body that is cut off', helloWith(FIXED.subarray(0, 30))],
    ['bytes after the extensions', helloWith(Buffer.concat([extensions(), Buffer.from([1])]))],
    ['extensions that are cut off', helloWith(Buffer.concat([FIXED, Buffer.from([0, 9, 0])]))],
    ['an extension that is cut off', helloWith(Buffer.concat([FIXED, Buffer.from([0, 2, 0, 1])]))],
    ['a bad server name', helloWith(extensions([0, Buffer.from([0, 9, 0])]))],
    ['a bad ALPN list', helloWith(extensions([16, Buffer.from([0, 2, 9, 9])]))],
  ])('with %s is invalid', (_what, bytes) => {
    expect(parseClientHello(bytes)).toBe('invalid');
  });

  it('is given up when too much came without an end', () => {
    const record = Buffer.concat([Buffer.from([22, 3, 1, 0, 1]), Buffer.from([1])]);
    const header = Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x7f, 0]);
    const filler = Buffer.concat(
      Array.from({ length: MAX_CLIENT_HELLO_BYTES / 6 + 1 }, () => record),
    );
    expect(parseClientHello(Buffer.concat([header, filler]))).toBe('invalid');
  });

  it('in records of one octet each is put together once, not once for each record', () => {
    const message = Buffer.alloc(5000);
    message.writeUInt32BE(0x01000000 + 20_000, 0);
    const records = Array.from(message, (octet) => Buffer.from([22, 3, 1, 0, 1, octet]));
    const bytes = Buffer.concat(records);
    const concat = jest.spyOn(Buffer, 'concat');
    expect(parseClientHello(bytes)).toBe('need-more');
    expect(concat.mock.calls.length).toBeLessThan(3);
    concat.mockRestore();
  });
});
