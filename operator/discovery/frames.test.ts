import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FrameDecoder, encodeFrame } from './frames.ts';

describe('frames', () => {
  it('decode to what was encoded, however the bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 8 }),
        fc.array(fc.nat(40), { maxLength: 30 }),
        (texts, cuts) => {
          const bytes = Buffer.concat(texts.map(encodeFrame));
          const decoder = new FrameDecoder(1 << 20);
          const found: string[] = [];
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            const result = decoder.push(bytes.subarray(at, at + cut));
            at += cut;
            if (result.ok) found.push(...result.messages);
          }
          expect(found).toEqual(texts);
          expect(decoder.partial).toBe(false);
        },
      ),
    );
  });

  it('are refused when larger than agreed, before they are there', () => {
    const decoder = new FrameDecoder(10);
    expect(decoder.push(Buffer.from([0, 0, 0, 0, 11]))).toEqual({ ok: false, reason: 'too-large' });
  });

  it('are refused when compressed', () => {
    const decoder = new FrameDecoder(10);
    expect(decoder.push(Buffer.from([1, 0, 0, 0, 1]))).toEqual({ ok: false, reason: 'compressed' });
  });

  it('may be incomplete for a while', () => {
    const decoder = new FrameDecoder(10);
    decoder.push(Buffer.from([0, 0, 0, 0, 2]));
    expect(decoder.partial).toBe(true);
  });
});
