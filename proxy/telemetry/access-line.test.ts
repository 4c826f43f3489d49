import { describe, expect, it } from '@jest/globals';
import { jsonLine, maxFieldChars, textLine } from './access-line.ts';
import type { AccessEntry } from './access-log.ts';
import { entryWith } from './test-entry.ts';

const time = '2026-11-23T06:00:00.000Z';
const self = 'spiffe://cluster.local/ns/shop/sa/cart';
const texts = [
  'destination',
  'endpoint',
  'route',
  'method',
  'authority',
  'path',
  'peer',
  'peerAddress',
  'requestId',
  'flag',
  'detail',
  'policy',
  'rule',
  'reason',
  'protocol',
  'traceId',
  'claimedHost',
] as const satisfies (keyof AccessEntry)[];

/** Line ends of every kind, terminal escapes of 7 and 8 bits, text that turns round, half a character, what quotes. */
const hostile = [
  'a\r\n{"access":true,"status":200}',
  '\u001b[2J\u0007\u009b31m\u007f\u0000',
  '\u0085\u2028\u2029\u202e\ud800 ü€😀',
  '" 200 - 1ms 0 0 peer=spiffe://evil \\" \\',
  ' policy=x',
];
const printable = /^[ -~]*\n$/;

describe('a line of the access log', () => {
  it.each(texts)('carries whatever stands in %s on one line of printable ASCII', (name) => {
    for (const text of hostile) {
      const entry = entryWith({ [name]: text });
      expect(textLine(entry, time, self)).toMatch(printable);
      const line = jsonLine(entry, time, self);
      expect(line).toMatch(printable);
      expect(JSON.parse(line)).toMatchObject({ [name]: text });
    }
  });

  it('lets no field of a text line pass for another', () => {
    const line = textLine(entryWith({ peer: '', requestId: 'x peer=spiffe://evil' }), time, self);
    const bare = line.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
    expect(bare).toContain(' peer=- ');
    expect(bare).not.toContain('evil');
  });

  it('tells a field that is a dash from one that is empty', () => {
    expect(textLine(entryWith({ route: '-' }), time, self)).toContain(' route="-" ');
    expect(textLine(entryWith({ route: '' }), time, self)).toContain(' route=- ');
  });

  it.each(texts)('cuts a %s that is too long, and says so', (name) => {
    const entry = entryWith({ [name]: '\u0001'.repeat(1_000_000) });
    const parsed = JSON.parse(jsonLine(entry, time, self)) as Record<string, string>;
    expect(parsed[name]).toBe(`${'\u0001'.repeat(maxFieldChars)}...`);
    expect(textLine(entry, time, self).length).toBeLessThan(8 * maxFieldChars);
  });

  it('says the same as JSON.stringify would of what every entry has', () => {
    const entry = entryWith({
      protocol: 'HTTP/2',
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      firstByteMs: 0.5,
      connectMs: -1,
      policy: 'AuthorizationPolicy shop/cart',
    });
    expect(JSON.parse(jsonLine(entry, time, self))).toEqual({ access: true, time, self, ...entry });
  });

  it('has the columns that the documentation names', () => {
    const entry = entryWith({ protocol: 'gRPC', grpcStatus: 14, endpoint: '10.0.0.7:80' });
    expect(textLine(entry, time, self)).toBe(
      `${time} inbound gRPC 8080 10.0.0.7:80 "GET cart /items" 200/14 - 1ms 0 0` +
        ` firstByteMs=-1 connectMs=-1 attempts=1 route=- self=${self}` +
        ' peer=spiffe://cluster.local/ns/shop/sa/web peerAddress=10.0.0.9 mtls=true' +
        ' requestId=r1 traceId=- detail=-\n',
    );
  });
});
