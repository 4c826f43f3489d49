import { describe, expect, it } from '@jest/globals';
import { compileAuthorization } from './compile.ts';
import { normalPath, pathReadings, plainPathEnd } from './path-readings.ts';
import { cart, get, operation, web } from './test-policies.ts';

/** What is sent, and every reading of it, as sent first. */
const table: readonly (readonly [string, readonly string[]])[] = [
  // Only one reading: whatever is equal by RFC 3986 takes one form.
  ['/', ['/']],
  ['/a/b', ['/a/b']],
  ['/a/b/', ['/a/b/']],
  ['/a.b/.well-known/...', ['/a.b/.well-known/...']],
  ['/a?b=/../c', ['/a']],
  ['/?', ['/']],
  ['/a#/../b', ['/a']],
  ['/%61%2D%7E', ['/a-~']],
  ['/a%20b', ['/a%20b']],
  ['/a b', ['/a%20b']],
  ['/%c3%9c', ['/%C3%9C']],
  ['/Ü', ['/%C3%9C']],
  ['/me%40example.com', ['/me@example.com']],
  ['/a%3Ab%2Cc%2B%3D', ['/a:b,c+=']],
  ['/{a}|"<b>^`', ['/%7Ba%7D%7C%22%3Cb%3E%5E%60']],
  ['/100%25', ['/100%25']],
  ['/%FF%FE', ['/%FF%FE']],
  ['*', ['*']],
  ['', ['']],
  ['http://cart.shop/a', ['/a']],
  ['HTTPS://cart.shop:80?q', ['/']],
  ['http://cart.shop', ['/']],
  ['a/b', ['/a/b']],
  // Empty segments.
  ['//', ['//', '/']],
  ['/a//b', ['/a//b', '/a/b']],
  ['/a///b//', ['/a///b//', '/a/b/']],
  ['//h/b', ['//h/b', '/h/b', '/b']],
  ['///b', ['///b', '/b']],
  // Dot segments, also encoded.
  ['/a/./b', ['/a/./b', '/a/b']],
  ['/.', ['/.', '/']],
  ['/..', ['/..', '/']],
  ['/../../a', ['/../../a', '/a']],
  ['/a/..', ['/a/..', '/']],
  ['/a/b/..', ['/a/b/..', '/a/']],
  ['/a/../b', ['/a/../b', '/b']],
  ['/a/%2e%2E/b', ['/a/../b', '/b']],
  ['/a/.%2e/b?c', ['/a/../b', '/b']],
  ['/a//../b', ['/a//../b', '/a/../b', '/a/b', '/b']],
  ['/a/../../b', ['/a/../../b', '/b']],
  ['/a/...', ['/a/...']],
  // Encoded separators.
  ['/a%2Fb', ['/a%2Fb', '/a/b']],
  ['/a%2fb', ['/a%2Fb', '/a/b']],
  ['/a%2F..%2Fb', ['/a%2F..%2Fb', '/a/../b', '/b']],
  ['/x/..%2fb', ['/x/..%2Fb', '/x/../b', '/b']],
  ['/%2Fh/b', ['/%2Fh/b', '//h/b', '/h/b', '/b']],
  // Backslashes.
  ['/a\\b', ['/a%5Cb', '/a/b']],
  ['/a%5cb', ['/a%5Cb', '/a/b']],
  ['/a\\..\\b', ['/a%5C..%5Cb', '/a/../b', '/b']],
  ['/\\h/b', ['/%5Ch/b', '//h/b', '/h/b', '/b']],
  // Parameters of segments.
  ['/a;v=1/b', ['/a;v=1/b', '/a/b']],
  ['/a;', ['/a;', '/a']],
  ['/;/a', ['/;/a', '//a', '/a', '/']],
  ['/a/..;/b', ['/a/..;/b', '/a/../b', '/b']],
  ['/a/.;x=1/b', ['/a/.;x=1/b', '/a/./b', '/a/b']],
  ['/a%3Bx/b', ['/a%3Bx/b', '/a;x/b', '/a/b']],
  // Encoded twice, and more often.
  ['/a%252Fb', ['/a%252Fb', '/a%2Fb', '/a/b']],
  ['/%2561', ['/%2561', '/a']],
  ['/a/%252e%252e/b', ['/a/%252e%252e/b', '/a/../b', '/b']],
  ['/%25252561', ['/%25252561', '/%252561', '/%2561', '/a']],
  ['/%2%46', ['/%252F', '/%2F', '//', '/']],
  ['/%%32%66', ['/%252f', '/%2F', '//', '/']],
  // An encoded query or fragment, cut after decoding; a C string.
  ['/a%3Fb', ['/a%3Fb', '/a']],
  ['/a%23b', ['/a%23b', '/a']],
  ['/a%00b', ['/a%00b', '/a']],
  ['/a%00/../b', ['/a%00/../b', '/a', '/b']],
  // Overlong UTF-8, and escapes of UTF-16.
  ['/a%C0%AFb', ['/a%C0%AFb', '/a%2Fb', '/a/b']],
  ['/a%e0%80%afb', ['/a%E0%80%AFb', '/a%2Fb', '/a/b']],
  ['/a%f0%80%80%afb', ['/a%F0%80%80%AFb', '/a%2Fb', '/a/b']],
  ['/a/%c0%ae%c0%ae/b', ['/a/%C0%AE%C0%AE/b', '/a/../b', '/b']],
  ['/%c1%a1', ['/%C1%A1', '/a']],
  ['/a%u002fb', ['/a%25u002fb', '/a%2Fb', '/a/b']],
  // Escapes that are none.
  ['/a%zz', ['/a%25zz']],
  ['/a%', ['/a%25']],
  ['/a%4', ['/a%254']],
];

const malformed = ['/a%zz', '/a%', '/a%4'];

describe('the readings of an odd path', () => {
  it.each(table)('of %j', (sent, readings) => {
    const found = pathReadings(sent);
    expect(found.texts[0]).toBe(readings[0]);
    expect(found.texts.toSorted()).toEqual(readings.toSorted());
    expect(found.ambiguous).toBe(readings.length > 1 || malformed.includes(sent));
  });

  it.each(table)(
    'of %j: a DENY rule refuses each of them, an ALLOW rule lets in none alone',
    (sent, readings) => {
      for (const exact of readings.filter((reading) => reading.startsWith('/'))) {
        const deny = compileAuthorization(operation('DENY', { paths: [{ exact }] }));
        expect(deny.decide(web, cart, get(sent)).allowed).toBe(false);
        const allow = compileAuthorization(operation('ALLOW', { paths: [{ exact }] }));
        expect(allow.decide(web, cart, get(sent)).allowed).toBe(readings.length === 1);
        const but = compileAuthorization(operation('ALLOW', { notPaths: [{ exact }] }));
        expect(but.decide(web, cart, get(sent)).allowed).toBe(false);
        const only = compileAuthorization(operation('DENY', { notPaths: [{ exact }] }));
        expect(only.decide(web, cart, get(sent)).allowed).toBe(readings.length === 1);
      }
    },
  );

  it.each(table)('of %j: all of them named by ALLOW rules let it in', (sent, readings) => {
    const paths = readings.map((exact) => ({ exact }));
    const allow = compileAuthorization(operation('ALLOW', { paths }));
    expect(allow.decide(web, cart, get(sent)).allowed).toBe(true);
  });

  it.each(table)('of %j: a Mesh that refuses ambiguous paths says so', (sent, readings) => {
    const policies = operation('DENY', { methods: ['PUT'] });
    const refusing = compileAuthorization({ ...policies, ambiguousPaths: 'refuse' });
    const ambiguous = readings.length > 1 || malformed.includes(sent);
    const { allowed, reason, by } = refusing.decide(web, cart, get(sent));
    expect(allowed).toBe(!ambiguous);
    expect(reason).toBe(ambiguous ? 'ambiguous-path' : 'no-policy');
    expect(by).toEqual(ambiguous ? { policy: 'Mesh default', rule: 'ambiguousPaths' } : null);
  });

  it('has at least sixty rows', () => {
    expect(table.length).toBeGreaterThanOrEqual(60);
  });

  it('is bounded: a path with too many, or too long ones, matches every DENY rule on paths and no ALLOW rule', () => {
    for (const sent of [
      '/a;b%2F..%5C%252F//./%3F%00;%c0%ae/x%2525253B',
      `/${'a;/..%2F%5C'.repeat(500)}`,
    ]) {
      expect(pathReadings(sent)).toEqual({ texts: [], ambiguous: true });
      for (const to of [{ paths: [{ exact: '/z' }] }, { notPaths: [{ exact: '/z' }] }]) {
        const deny = compileAuthorization(operation('DENY', to));
        expect(deny.decide(web, cart, get(sent)).allowed).toBe(false);
        const allow = compileAuthorization(operation('ALLOW', to));
        expect(allow.decide(web, cart, get(sent)).allowed).toBe(false);
      }
      const other = compileAuthorization(operation('ALLOW', { methods: ['GET'] }));
      expect(other.decide(web, cart, get(sent)).allowed).toBe(true);
    }
  });

  it('may be long where there is only one', () => {
    const long = `/${'a%20'.repeat(2000)}`;
    expect(pathReadings(long)).toEqual({ texts: [long], ambiguous: false });
    expect(pathReadings(`${long}//b`)).toEqual({ texts: [], ambiguous: true });
    expect(pathReadings(long.repeat(3))).toEqual({ texts: [], ambiguous: true });
    const plain = `/${'a'.repeat(50_000)}`;
    expect(pathReadings(plain)).toEqual({ texts: [plain], ambiguous: false });
  });

  it('is found without work where there is only one', () => {
    expect(plainPathEnd('/a/b.c/...?q')).toBe(10);
    expect(plainPathEnd('/')).toBe(1);
    for (const odd of [
      '',
      '*',
      'a',
      '/a%41',
      '/a;b',
      '/a\\b',
      '//',
      '/a/./b',
      '/a/..',
      '/Ü',
      '/a b',
    ])
      expect(plainPathEnd(odd)).toBe(-1);
  });

  it('takes a form that is its own', () => {
    for (const [, readings] of table)
      for (const reading of readings) expect(normalPath(reading)).toBe(reading);
    expect(normalPath('/\ud800')).toBe('/%EF%BF%BD');
  });
});
