import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { H2_PREFACE, detect } from './detect.ts';
import type { Detected } from './detect.ts';
import { bytesOf } from './test-recorder.ts';

const LONG = `/${'x'.repeat(2000)}`;

const CASES: readonly (readonly [string, Detected])[] = [
  ['', 'need-more'],
  ['GET / HTTP/1.1\r\n', 'http1'],
  ['GET / HTTP/1.0\n', 'http1'],
  ['\r\nGET / HTTP/1.1\r\n', 'http1'],
  ['\r', 'need-more'],
  ['\r\n\r', 'need-more'],
  ['\rG', 'other'],
  ['M-SEARCH * HTTP/1.1\r\n', 'http1'],
  ['POST /x', 'need-more'],
  ['G', 'need-more'],
  ['PR', 'need-more'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n', 'need-more'],
  [H2_PREFACE.toString(), 'http2'],
  [`${H2_PREFACE.toString()}\0\0`, 'http2'],
  ['PRI * HTTP/1.1\r\n', 'http1'],
  ['PROPFIND / HTTP/1.1\r\n', 'http1'],
  [`GET ${LONG}`, 'http1'],
  ['GET key\r\n', 'other'],
  ['GET key\r', 'need-more'],
  ['GET a\0', 'need-more'],
  ['GET a\0 HTTP/1.1\r\n', 'http1'],
  ['GET a\0 b\r\n', 'other'],
  ['get key\r\n', 'other'],
  ['HELO mail.test\r\n', 'other'],
  ['QUIT\r\n', 'other'],
  ['SSH-2.0-OpenSSH_9.6\r\n', 'other'],
  ['*1\r\n$4\r\nPING\r\n', 'other'],
  ['A'.repeat(33), 'other'],
  ['\x00\x00\x00\x08', 'other'],
  ['\x16', 'need-more'],
  ['\x16\x03', 'need-more'],
  ['\x16\x02', 'other'],
  ['\x16\x03\x05', 'other'],
  ['\x16\x03\x01\x02\x00', 'need-more'],
  ['\x16\x03\x01\x02\x00\x01', 'tls'],
  ['\x16\x03\x01\x02\x00\x02', 'other'],
];

describe('protocol detection', () => {
  it.each(CASES)('%j is %s', (text, expected) => {
    expect(detect(bytesOf(text))).toBe(expected);
  });

  it.each(CASES.filter(([, expected]) => expected !== 'need-more'))(
    'never takes back what it said of the beginning of %j',
    (text) => {
      const bytes = bytesOf(text);
      let said: Detected = 'need-more';
      for (let length = 0; length <= bytes.length; length++) {
        const now = detect(bytes.subarray(0, length));
        if (said !== 'need-more') expect(now).toBe(said);
        said = now;
      }
    },
  );

  it('never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => typeof detect(Buffer.from(bytes)) === 'string'),
    );
  });
});
