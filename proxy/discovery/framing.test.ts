import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createFrameDecoder, encodeFrame, FramingError } from './framing.ts';

function decodeInPieces(bytes: Buffer, sizes: readonly number[]): string[] {
  const decoder = createFrameDecoder();
  const messages: string[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    messages.push(...decoder.push(bytes.subarray(at, at + size)));
    at += size;
  }
  return messages;
}

describe('gRPC message frames', () => {
  it('give the same messages however the bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary' })),
        fc.array(fc.integer({ min: 0, max: 9 })),
        (texts, sizes) => {
          const wellFormed = texts.map((text) => text.toWellFormed());
          const bytes = Buffer.concat(wellFormed.map(encodeFrame));
          expect(decodeInPieces(bytes, sizes)).toEqual(wellFormed);
        },
      ),
    );
  });

  it('are refused above the bound before they are collected', () => {
    const decoder = createFrameDecoder(10);
    expect(decoder.push(encodeFrame('0123456789'))).toEqual(['0123456789']);
    expect(() => decoder.push(encodeFrame('0123456789+').subarray(0, 5))).toThrow(FramingError);
  });

  it('are refused where they are compressed', () => {
    const frame = encodeFrame('{}');
    frame[0] = 1;
    expect(() => createFrameDecoder().push(frame)).toThrow('compressed');
  });
});
