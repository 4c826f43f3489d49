import { describe, expect, it } from '@jest/globals';
import { createTestClock } from '../net/test-clock.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import { SpanExporter, type ExportResult } from './exporter.ts';
import type { Span } from './span.ts';

const span: Span = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  parentSpanId: '',
  traceState: '',
  name: 'GET',
  kind: 'server',
  startMs: 1,
  endMs: 2,
  attributes: [],
  error: null,
};

function as(outcome: ExportResult['outcome'], more: Partial<ExportResult> = {}): ExportResult {
  return { outcome, refused: 0, afterMs: 0, ...more };
}

function world() {
  const clock = createTestClock();
  const health: boolean[] = [];
  const batches: { spans: number; done: (result: ExportResult) => void }[] = [];
  const exporter = new SpanExporter({
    io: { clock, wheel: new TimerWheel(clock) },
    resource: () => [],
    version: '1',
    send: (_body, spans, done) => void batches.push({ spans, done }),
    random: () => 1,
    onHealth: (lost) => void health.push(lost),
  });
  const record = (count: number) => {
    for (let i = 0; i < count; i += 1) exporter.record(span);
  };
  return { clock, batches, exporter, record, health };
}

describe('spans on their way', () => {
  it('leave together after a second, or at once when they are many', () => {
    const { clock, batches, record, exporter } = world();
    record(3);
    expect(batches).toEqual([]);
    clock.pass(1_010);
    expect(batches.map(({ spans }) => spans)).toEqual([3]);
    record(600);
    batches[0]!.done(as('sent'));
    expect(batches.map(({ spans }) => spans)).toEqual([3, 512]);
    batches[1]!.done(as('sent'));
    clock.pass(1_010);
    expect(batches.map(({ spans }) => spans)).toEqual([3, 512, 88]);
    expect(exporter.counts()).toEqual({ exported: 515, dropped: 0, queued: 88 });
  });

  it('are sent again while the collector is away, and then given up', () => {
    const { clock, batches, record, exporter } = world();
    record(1);
    clock.pass(1_010);
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000]) {
      const sent = batches.length;
      batches.at(-1)!.done(as('later'));
      clock.pass(pauseMs - 20);
      expect(batches).toHaveLength(sent);
      clock.pass(40);
      expect(batches).toHaveLength(sent + 1);
    }
    batches.at(-1)!.done(as('later'));
    expect(exporter.counts()).toEqual({ exported: 0, dropped: 1, queued: 0 });
    record(1);
    clock.pass(1_010);
    expect(batches).toHaveLength(6);
  });

  it('wait for as long as the collector asks, and those that it refused of a batch are counted', () => {
    const { clock, batches, record, exporter, health } = world();
    record(5);
    clock.pass(1_010);
    batches[0]!.done(as('later', { afterMs: 20_000 }));
    clock.pass(19_900);
    expect(batches).toHaveLength(1);
    clock.pass(200);
    expect(batches).toHaveLength(2);
    batches[1]!.done(as('sent', { refused: 2 }));
    expect(exporter.counts()).toEqual({ exported: 3, dropped: 2, queued: 0 });
    expect(health).toEqual([true]);
  });

  it('are bounded, and what is lost is counted', () => {
    const { batches, record, exporter } = world();
    record(512 + 2048 + 7);
    expect(batches).toHaveLength(1);
    expect(exporter.counts()).toEqual({ exported: 0, dropped: 7, queued: 2560 });
    batches[0]!.done(as('never'));
    expect(exporter.counts()).toEqual({ exported: 0, dropped: 519, queued: 2048 });
  });

  it('are bounded in bytes, however long what clients send is', () => {
    const { exporter } = world();
    const long = Array.from({ length: 30 }, (_, index) => [`a${index}`, 'x'.repeat(9000)] as const);
    for (let i = 0; i < 512; i += 1) exporter.record({ ...span, attributes: long });
    const { queued, dropped } = exporter.counts();
    expect(queued + dropped).toBe(512);
    // 30 KB each, of 2 MB.
    expect(queued).toBeGreaterThan(60);
    expect(queued).toBeLessThan(75);
  });

  it('are sent once more where the pod ends, and are not waited for longer than that', async () => {
    const { batches, record, exporter, clock } = world();
    record(600);
    const drained = exporter.drained(1_000);
    batches[0]!.done(as('sent'));
    batches[1]!.done(as('later'));
    await drained;
    expect(exporter.counts()).toEqual({ exported: 512, dropped: 88, queued: 0 });
    record(1);
    const late = exporter.drained(1_000);
    clock.pass(1_000);
    await late;
  });
});
