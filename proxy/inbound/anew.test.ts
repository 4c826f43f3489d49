import { describe, expect, it } from '@jest/globals';
import { guarded, policy } from '../../test/support/authorization.ts';
import { createTestClock } from '../net/test-clock.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import type { Io } from '../net/link.ts';
import type { Resource } from '../api/resources.ts';
import type { PreparedWorkload } from '../state/prepared.ts';
import { createStore } from '../state/store.ts';
import { JudgedAnew } from './anew.ts';
import type { InboundConnection } from './connection.ts';

class Stage {
  readonly clock = createTestClock(0);
  readonly open = new Set<InboundConnection>();
  readonly judged: number[] = [];
  readonly anew: JudgedAnew;
  private readonly store = createStore();

  constructor(connections: number, streams = 1) {
    const io = { clock: this.clock, wheel: new TimerWheel(this.clock) } as unknown as Io;
    this.anew = new JudgedAnew(this.open, io);
    for (let i = 0; i < connections; i += 1) {
      const judgeAnew = () => {
        this.judged.push(i);
        return streams;
      };
      this.open.add({ judgeAnew } as unknown as InboundConnection);
    }
    this.put(guarded([policy('ALLOW', [])]));
    this.slices();
    this.judged.length = 0;
  }

  put(resource: Resource): PreparedWorkload {
    this.store.apply([{ version: '1', resource }], []);
    const { workload } = this.store.snapshot();
    this.anew.onSwap(workload);
    return workload!;
  }

  /** How many were judged in each turn of the event loop, until nothing more is. */
  slices(): number[] {
    const sizes: number[] = [];
    while (this.clock.waiting().length > 0) {
      const before = this.judged.length;
      this.clock.pass(1);
      if (this.judged.length > before) sizes.push(this.judged.length - before);
    }
    return sizes;
  }
}

const another = guarded([policy('ALLOW', []), policy('DENY', [])]);

describe('judging anew', () => {
  it('looks at every connection once, some hundreds in a turn of the event loop', () => {
    const stage = new Stage(10_000);
    stage.put(another);
    expect(stage.judged).toEqual([]);
    const slices = stage.slices();
    expect(Math.max(...slices)).toBeLessThanOrEqual(256);
    expect(stage.judged).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
  });

  it('counts the requests of a connection, not connections', () => {
    const stage = new Stage(100, 100);
    stage.put(another);
    expect(Math.max(...stage.slices())).toBeLessThanOrEqual(3);
    expect(stage.judged).toHaveLength(100);
  });

  it('looks again at those before, where policies change meanwhile', () => {
    const stage = new Stage(1_000);
    stage.put(another);
    stage.clock.pass(5);
    const looked = stage.judged.length;
    expect(looked).toBeGreaterThan(0);
    stage.put(guarded([policy('DENY', [])]));
    stage.slices();
    const counts = new Map<number, number>();
    for (const one of stage.judged) counts.set(one, (counts.get(one) ?? 0) + 1);
    expect([counts.size, Math.max(...counts.values())]).toEqual([1_000, 2]);
    expect(counts.get(0)).toBe(2);
  });

  it('does nothing where neither policies nor modes changed', () => {
    const stage = new Stage(10);
    stage.put({ ...guarded([policy('ALLOW', [])]), statisticsIntervalMs: 5_000 });
    stage.put(guarded([policy('ALLOW', [])], { decidedBy: 'PeerAuthentication shop/other' }));
    expect(stage.slices()).toEqual([]);
    stage.put(guarded([policy('ALLOW', [])], { mtls: 'PERMISSIVE' }));
    expect(stage.slices()).toEqual([10]);
  });

  it('sees a port that gets a mode of its own', () => {
    const stage = new Stage(10);
    const before = guarded([policy('ALLOW', [])], { mtls: 'PERMISSIVE' });
    stage.put(before);
    stage.slices();
    const strict = { protocol: 'auto', mtls: 'STRICT', decidedBy: 'x' } as const;
    stage.put({ ...before, inbound: { ...before.inbound, ports: { '80': strict } } });
    expect(stage.slices()).toEqual([10]);
  });
});
