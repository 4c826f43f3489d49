import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { claimedHost, MAX_CLAIM_BYTES } from './claimed-host.ts';
import { H2_PREFACE } from './detect.ts';

/** The first flight of Node's own TLS client. */
function hello(servername?: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read: () => {}, write: (chunk: Buffer) => resolve(chunk) });
    const named = servername === undefined ? {} : { servername };
    connect({ socket: wire, rejectUnauthorized: false, ...named }).on('error', () => {});
  });
}

/** With one more extension, put in front of the others. */
function withExtension(whole: Buffer, type: number, data: Buffer): Buffer {
  const body = whole.subarray(9);
  let at = 34;
  at += 1 + body[at]!;
  at += 2 + body.readUInt16BE(at);
  at += 1 + body[at]!;
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(data.length, 2);
  const extensions = Buffer.concat([head, data, body.subarray(at + 2)]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(extensions.length);
  const message = Buffer.concat([body.subarray(0, at), length, extensions]);
  const sizes = Buffer.from([22, 3, 1, 0, 0, 1, 0, 0, 0]);
  sizes.writeUInt16BE(message.length + 4, 3);
  sizes.writeUIntBE(message.length, 6, 3);
  return Buffer.concat([sizes, message]);
}

const http = (...lines: string[]) => Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
const named = (host: string) => http('GET /a HTTP/1.1', 'Accept: */*', `Host: ${host}`);

/** ECHClientHello of the outer kind (RFC 9849 §5), which GREASE imitates; and a GREASE extension (RFC 8701). */
const ech = [
  0xfe0d,
  Buffer.concat([Buffer.from([0, 0, 1, 0, 1, 7]), Buffer.alloc(200, 9)]),
] as const;
const grease = [0x0a0a, Buffer.alloc(0)] as const;

describe('the host that a client claims', () => {
  it('is the server name of a ClientHello, of the outer one where there is ECH', async () => {
    const whole = await hello('API.example.com');
    const expected = { host: 'api.example.com', by: 'sni' };
    expect(claimedHost(whole)).toEqual(expected);
    expect(claimedHost(withExtension(whole, ...ech))).toEqual(expected);
    expect(claimedHost(withExtension(whole, ...grease))).toEqual(expected);
    expect(claimedHost(await hello())).toBe('none');
  });

  it.each([
    ['Api.Example.com', 'api.example.com'],
    ['api.example.com.:8080', 'api.example.com'],
    ['192.0.2.1:80', '192.0.2.1'],
    ['[2001:DB8::1]:80', '[2001:db8::1]'],
    ['a_b.svc', 'a_b.svc'],
  ])('is the Host of a request, %s as %s', (sent, host) => {
    expect(claimedHost(named(sent))).toEqual({ host, by: 'host' });
  });

  it.each([
    ['GET http://user@api.example.com:81/x HTTP/1.1', 'api.example.com'],
    ['CONNECT api.example.com:443 HTTP/1.1', 'api.example.com'],
    ['GET / HTTP/1.1', 'other.example'],
  ])('is the authority of the target before the Host field: %s', (line, host) => {
    expect(claimedHost(http(line, 'host: other.example'))).toEqual({ host, by: 'host' });
  });

  it.each(['a b', '"},{', 'x\\ny', '-a', '', `${'a'.repeat(254)}`, '[::1', 'é.example'])(
    'is none that could harm a reader: %j',
    (host) => {
      expect(claimedHost(named(host))).toBe('none');
    },
  );

  it('is the :authority of the first HTTP/2 request', () => {
    const settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const block = [0x82, 0x86, 0x84, 0x41, 0x0f, ...Buffer.from('www.example.com')];
    const head = (flags: number, payload: number[]) =>
      Buffer.from([0, 0, payload.length, 1, flags, 0, 0, 0, 1, ...payload]);
    const start = Buffer.concat([H2_PREFACE, Buffer.from(settings)]);
    const claim = (frame: Buffer) => claimedHost(Buffer.concat([start, frame]));
    const expected = { host: 'www.example.com', by: 'host' };
    expect(claim(head(5, block))).toEqual(expected);
    expect(claim(head(0x2d, [2, 0, 0, 0, 0, 9, ...block, 0, 0]))).toEqual(expected);
    expect(claim(head(1, block))).toBe('none');
    expect(claim(head(5, [0x82]))).toBe('none');
    expect(claim(head(5, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))).toBe('none');
    expect(claim(Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 1]))).toBe('none');
    expect(claim(head(5, block).subarray(0, 12))).toBe('need-more');
    expect(claimedHost(start)).toBe('need-more');
  });

  it('is asked for again until it is there, in whatever pieces it comes, and not for ever', async () => {
    const tls = withExtension(await hello('api.example.com'), ...ech);
    for (const whole of [tls, named('api.example.com')]) {
      const needs = Array.from({ length: whole.length }, (_, n) =>
        claimedHost(whole.subarray(0, n)),
      );
      const known = needs.findIndex((claim) => claim !== 'need-more');
      expect(known).not.toBe(0);
      const said = needs.slice(known === -1 ? needs.length : known);
      for (const claim of [...said, claimedHost(whole)]) {
        expect(claim).toMatchObject({ host: 'api.example.com' });
      }
    }
    const endless = Buffer.concat([
      http('GET / HTTP/1.1').subarray(0, -2),
      Buffer.alloc(20_000, 97),
    ]);
    expect(claimedHost(endless.subarray(0, MAX_CLAIM_BYTES - 1))).toBe('need-more');
    expect(claimedHost(endless.subarray(0, MAX_CLAIM_BYTES))).toBe('none');
  });

  it('is none of what is neither TLS nor HTTP, nor of what only looks so', () => {
    for (const text of ['SSH-2.0-x\r\n', 'EHLO mail.example\r\n', '\u0000\u0001\u0002']) {
      expect(claimedHost(Buffer.from(text))).toBe('none');
    }
    expect(claimedHost(http('GET / HTTP/1.1', 'Accept: */*'))).toBe('none');
    expect(claimedHost(Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0]))).toBe('none');
    expect(claimedHost(Buffer.alloc(0))).toBe('need-more');
  });

  it('never throws, and never says what would need escaping', () => {
    const start = fc.constantFrom<Buffer>(
      Buffer.alloc(0),
      Buffer.from([22, 3, 1]),
      H2_PREFACE,
      Buffer.from('GET / HTTP/1.1\r\nHost:'),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 200 }), (first, rest) => {
        const claim = claimedHost(Buffer.concat([first, rest]));
        if (typeof claim !== 'string') expect(claim.host).toMatch(/^[a-z0-9._:[\]-]{1,253}$/);
      }),
    );
  });
});
