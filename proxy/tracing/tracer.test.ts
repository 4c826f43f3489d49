import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import type { TracingSettings } from '../api/tracing.ts';
import { readContext } from './context.ts';
import type { Span } from './span.ts';
import { Tracer } from './tracer.ts';

function tracerOf(sampling: number, over: Partial<TracingSettings> = {}) {
  const spans: Span[] = [];
  const time = { nowMs: 1000.25, wallTimeMs: 1_700_000_001_000 };
  const clock = { nowMs: () => time.nowMs, wallTimeMs: () => time.wallTimeMs };
  const tracer = new Tracer({ clock, randomBytes, record: (span) => void spans.push(span) });
  tracer.set({
    collector: { protocol: 'grpc', endpoint: 'http://otel.x:4317' },
    sampling,
    samplingOfPorts: { 8080: 100 },
    resource: {},
    ...over,
  });
  return { tracer, spans, time };
}

describe('a tracer', () => {
  it('is off until it is set, and after it is set off', () => {
    const { tracer } = tracerOf(0);
    expect(tracer.on).toBe(true);
    expect([tracer.samplingOfPort(8080), tracer.samplingOfPort(1)]).toEqual([100, null]);
    tracer.set(null);
    expect([tracer.on, tracer.samplingOfPort(8080)]).toEqual([false, null]);
  });

  it('is asked once for a trace: whoever comes next finds what was decided', () => {
    const share = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(share, share, (first, next) => {
        const fields = ['accept', '*/*'];
        const client = tracerOf(first).tracer.begin(fields, null);
        const decided = readContext(fields)!;
        expect(decided.sampled).toBe(client !== null);
        const server = tracerOf(next).tracer.begin(fields, null);
        expect(server === null).toBe(client === null);
        expect(readContext(fields)!.traceId).toBe(decided.traceId);
        if (server !== null) expect(server.parentSpanId).toBe(client!.spanId);
      }),
    );
  });

  it('samples about its share', () => {
    const { tracer } = tracerOf(25);
    const count = 4000;
    let sampled = 0;
    for (let i = 0; i < count; i += 1) if (tracer.begin([], null) !== null) sampled += 1;
    // Five standard deviations of a binomial distribution.
    expect(Math.abs(sampled - count / 4)).toBeLessThan(5 * Math.sqrt(count * 0.25 * 0.75));
  });

  it('gives times with fractions of a millisecond, and follows a clock that was set', () => {
    const { tracer, spans, time } = tracerOf(100);
    const trace = tracer.begin([], null)!;
    const rest = { name: 'GET', kind: 'client', attributes: [], error: null } as const;
    time.nowMs += 5.5;
    time.wallTimeMs += 5;
    tracer.record(trace, 1000.25, rest);
    expect(spans[0]!.endMs - spans[0]!.startMs).toBeCloseTo(5.5, 3);
    expect(Math.abs(spans[0]!.endMs - time.wallTimeMs)).toBeLessThanOrEqual(1);
    time.wallTimeMs -= 60_000;
    tracer.record(trace, 1000.25, rest);
    expect(Math.abs(spans[1]!.endMs - time.wallTimeMs)).toBeLessThanOrEqual(1);
  });
});
