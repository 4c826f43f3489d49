import { describe, expect, it } from '@jest/globals';
import {
  formatTraceparent,
  parseTraceparent,
  readContext,
  saysNotSampled,
  traceStateOf,
  writeContext,
} from './context.ts';
import { createTraceIds, isSampled } from './ids.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const parent = `00-${traceId}-${spanId}-01`;

describe('traceparent', () => {
  it('is read as the recommendation says', () => {
    expect(parseTraceparent(parent)).toEqual({ traceId, spanId, sampled: true });
    expect(parseTraceparent(`00-${traceId}-${spanId}-00`)?.sampled).toBe(false);
    // Other flags say nothing of sampling.
    expect(parseTraceparent(`00-${traceId}-${spanId}-02`)?.sampled).toBe(false);
    expect(parseTraceparent(`00-${traceId}-${spanId}-ff`)?.sampled).toBe(true);
  });

  it('of a later version is read as far as this one goes', () => {
    expect(parseTraceparent(`cc-${traceId}-${spanId}-01-what-the-future-brings`)).toEqual({
      traceId,
      spanId,
      sampled: true,
    });
    expect(parseTraceparent(`cc-${traceId}-${spanId}-01.what`)).toBeNull();
  });

  it.each([
    ['', 'nothing'],
    [`ff-${traceId}-${spanId}-01`, 'a forbidden version'],
    [`00-${traceId}-${spanId}-01-more`, 'more than its version has'],
    [`00-${'0'.repeat(32)}-${spanId}-01`, 'no trace'],
    [`00-${traceId}-${'0'.repeat(16)}-01`, 'no span'],
    [`00-${traceId.toUpperCase()}-${spanId}-01`, 'capitals'],
    [`00-${traceId}-${spanId}-1`, 'a short flag'],
    [` ${parent}`, 'a space before it'],
  ])('%j is refused: %s', (text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  it('is written as it is read', () => {
    expect(formatTraceparent(traceId, spanId, true)).toBe(parent);
    expect(parseTraceparent(formatTraceparent(traceId, spanId, false))?.sampled).toBe(false);
  });
});

describe('the context of a request', () => {
  it.each([
    ['b3 in one header', ['b3', `${traceId}-${spanId}-1-05e3ac9a4f6e3b90`], true],
    ['b3 without a decision', ['b3', `${traceId}-${spanId}`], null],
    ['b3 that is debugged', ['b3', `${traceId}-${spanId}-d`], true],
    ['b3 in many', ['x-b3-traceid', traceId, 'x-b3-spanid', spanId, 'x-b3-sampled', '0'], false],
    [
      'b3 in many, debugged',
      ['x-b3-flags', '1', 'x-b3-traceid', traceId, 'x-b3-spanid', spanId],
      true,
    ],
    ['W3C before B3', ['b3', `${'1'.repeat(32)}-${spanId}-0`, 'traceparent', parent], true],
    ['B3 where W3C is broken', ['traceparent', 'x', 'b3', `${traceId}-${spanId}-1`], true],
  ])('is taken from %s', (_what, fields, sampled) => {
    expect(readContext(['accept', '*/*', ...fields])).toEqual({ traceId, spanId, sampled });
  });

  it('of 64 bits is made long', () => {
    expect(readContext(['b3', `${spanId.toUpperCase()}-${spanId}-1`])?.traceId).toBe(
      `${'0'.repeat(16)}${spanId}`,
    );
  });

  it.each([
    [['accept', '*/*']],
    [['traceparent', parent, 'traceparent', parent]],
    [['b3', '0']],
    [['b3', 'x'.repeat(100)]],
    [['x-b3-traceid', traceId]],
    [['x-b3-traceid', 'zz', 'x-b3-spanid', spanId]],
    [['x-b3-traceid', '0'.repeat(32), 'x-b3-spanid', spanId]],
  ])('%j has none', (fields) => {
    expect(readContext(fields)).toBeNull();
  });

  it('takes the place of what came, and keeps all else in order', () => {
    const fields = ['a', '1', 'traceparent', 'old', 'tracestate', 'k=v', 'a', '2'];
    const ended = [...fields];
    writeContext(fields, { traceId, spanId, sampled: true }, true);
    expect(fields).toEqual(['a', '1', 'tracestate', 'k=v', 'a', '2', 'traceparent', parent]);
    writeContext(ended, { traceId, spanId, sampled: true }, false);
    expect(ended).toEqual(['a', '1', 'a', '2', 'traceparent', parent]);
  });

  it('is written as B3 too where it came so, for apps that know nothing else', () => {
    const other = '1'.repeat(16);
    const single = ['b3', `${traceId}-${other}-1-${other}`, 'a', '1'];
    writeContext(single, { traceId, spanId, sampled: true }, true);
    expect(single).toEqual(['a', '1', 'traceparent', parent, 'b3', `${traceId}-${spanId}-1`]);
    const many = ['x-b3-traceid', traceId, 'x-b3-parentspanid', other, 'x-b3-spanid', other];
    writeContext(many, { traceId, spanId, sampled: false }, true);
    const [, , ...asB3] = many;
    expect(asB3).toEqual(['x-b3-traceid', traceId, 'x-b3-spanid', spanId, 'x-b3-sampled', '0']);
  });

  it('goes on with what vendors said beside it, in one line', () => {
    expect(traceStateOf(['tracestate', 'a=1', 'b', '2', 'tracestate', 'c=3'])).toBe('a=1,c=3');
    expect(traceStateOf(['b', '2'])).toBe('');
  });
});

describe('a context that says no', () => {
  it('is seen where W3C says it alone', () => {
    const not = `00-${traceId}-${spanId}-00`;
    expect(saysNotSampled(['a', 'b', 'traceparent', not])).toBe(true);
    expect(saysNotSampled(['traceparent', not, 'traceparent', not])).toBe(false);
    expect(saysNotSampled(['traceparent', parent])).toBe(false);
    expect(saysNotSampled(['traceparent', `00-${'0'.repeat(32)}-${spanId}-00`])).toBe(false);
    expect(saysNotSampled(['b3', '0'])).toBe(false);
  });
});

describe('ids', () => {
  it('are random and never zero', () => {
    let calls = 0;
    const ids = createTraceIds((count) => {
      calls += 1;
      return Buffer.alloc(count, calls === 1 ? 0 : 0xab);
    });
    expect(ids.traceId()).toBe('ab'.repeat(16));
    expect(ids.spanId()).toBe('ab'.repeat(8));
    expect(calls).toBe(2);
  });

  it('are sampled by their share, and alike by everyone', () => {
    expect(isSampled(traceId, 0)).toBe(false);
    expect(isSampled('f'.repeat(32), 100)).toBe(true);
    const half = `${'0'.repeat(19)}8${'0'.repeat(12)}`;
    expect([isSampled(half, 50), isSampled(half, 50.01)]).toEqual([false, true]);
  });
});
