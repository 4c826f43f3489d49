import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatGrpcTimeout, grpcTimeoutMs, lowerGrpcTimeout } from './grpc-timeout.ts';

const read = (value: string) => grpcTimeoutMs(['grpc-timeout', value]);

describe('the time that a gRPC caller gives', () => {
  it.each([
    ['2H', 7_200_000],
    ['3M', 180_000],
    ['4S', 4_000],
    ['500m', 500],
    ['1500u', 1.5],
    ['99999999n', 99.999999],
    ['0S', 0],
  ])('%s is read', (value, ms) => {
    expect(read(value)).toBeCloseTo(ms, 9);
  });

  it.each(['', 'S', '5', '5s', '-1S', '+1S', '1.5S', '123456789S', '5 S', ' 5S', '5SS', '٣S'])(
    '%j is nothing that can be read',
    (value) => {
      expect(read(value)).toBeNull();
    },
  );

  it('said twice is not read either', () => {
    expect(grpcTimeoutMs(['grpc-timeout', '1S', 'grpc-timeout', '2S'])).toBeNull();
    expect(grpcTimeoutMs(['te', 'trailers'])).toBeNull();
  });

  it('is written in at most 8 digits, never longer than it is, and never as none', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 99_999_999 * 3_600_000, noNaN: true }), (ms) => {
        const text = formatGrpcTimeout(ms);
        expect(text).toMatch(/^[1-9][0-9]{0,7}[umSMH]$/);
        const back = read(text)!;
        expect(back).toBeLessThanOrEqual(ms * (1 + 1e-12) + 1e-9);
        // Rounded by one step of eight digits at most, or by what the next unit is.
        expect(ms - back).toBeLessThanOrEqual(Math.max(1e-3, ms / 1600) + 1e-9);
      }),
    );
    expect(formatGrpcTimeout(-5)).toBe('1u');
    expect(formatGrpcTimeout(1e18)).toBe('99999999H');
  });
});

describe('a call on its way', () => {
  const lowered = (said: string, leftMs: number) => {
    const fields = ['te', 'trailers', 'grpc-timeout', said];
    lowerGrpcTimeout(fields, read(said)!, leftMs);
    return fields[3];
  };

  it('says what is left of its time', () => {
    expect(lowered('5S', 4_990)).toBe('4990000u');
    expect(lowered('10m', 9.5)).toBe('9500u');
    expect(lowered('1H', 3_599_000)).toBe('3599000m');
  });

  it('keeps what it said while nearly nothing has passed', () => {
    expect(lowered('5S', 4_999.5)).toBe('5S');
  });
});
