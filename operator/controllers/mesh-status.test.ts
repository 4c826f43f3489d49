import { describe, expect, it } from '@jest/globals';
import type { MeshStatus, MeshStatusStatus } from '../resources/tsmesh.ts';
import type { MeshStatusRow } from '../telemetry/types.ts';
import { MeshStatusWriter } from './mesh-status.ts';
import { settle } from '../runtime/test-clock.ts';
import { TestCluster } from './test-cluster.ts';

const namespaces = 200;
const healthy = { type: 'Healthy', status: 'True', reason: 'AllWell', message: 'well' } as const;

interface Told {
  rate: number;
  /** What the column says. */
  shown: string;
  requests?: number;
}

function rowOf(name: string, { rate, shown, requests = 1 }: Told): MeshStatusRow {
  const status = {
    columns: { requestRate: shown } as MeshStatusStatus['columns'],
    window: { end: '2026-06-01T00:00:00Z', seconds: 60 },
    proxies: '1/1',
    readyProxies: 1,
    wantedProxies: 1,
    inSync: 1,
    requestRate: String(rate),
    successRate: '100',
    p50: '1ms',
    p99: '2ms',
    mtlsPercent: '100',
    requests,
    failures: 0,
    connections: 0,
    denied: 0,
  };
  return { name, status, verdicts: [healthy] };
}

class World {
  readonly cluster = new TestCluster();
  readonly writer = new MeshStatusWriter(this.cluster.context());
  /** When each object was written, by name. */
  readonly writes = new Map<string, number[]>();
  readonly names = Array.from({ length: namespaces }, (_, index) => `namespace.n-${index}`);

  constructor() {
    this.cluster.onChange = (kind, { metadata: { name } }) => {
      if (kind !== 'MeshStatus') return;
      this.writes.set(name, [...(this.writes.get(name) ?? []), this.nowMs]);
    };
  }

  get nowMs(): number {
    return this.cluster.clock.nowMs();
  }

  /** `tell` gives what is so at each instant. */
  async run(seconds: number, tell: (index: number, second: number) => Told): Promise<void> {
    const begunMs = this.nowMs;
    for (const endMs = begunMs + seconds * 1000; this.nowMs < endMs;) {
      const second = (this.nowMs - begunMs) / 1000;
      this.cluster.rows = this.names.map((name, index) => rowOf(name, tell(index, second)));
      let pauseMs: number | null = null;
      void this.writer.reconcile().then((ms) => (pauseMs = ms));
      await settle();
      while (pauseMs === null) await this.cluster.clock.advance(this.cluster.clock.nextInMs() ?? 0);
      await this.cluster.clock.advance(pauseMs);
    }
  }

  /** All rows are there, and may be written. */
  async settled(): Promise<this> {
    await this.run(60, () => ({ rate: 1, shown: '1' }));
    this.writes.clear();
    return this;
  }

  /** Most writes within any second. */
  mostInASecond(): number {
    const all = [...this.writes.values()].flat().toSorted((a, b) => a - b);
    return Math.max(0, ...all.map((at, i) => all.slice(i).filter((b) => b - at < 1000).length));
  }

  gaps(): number[] {
    return [...this.writes.values()].flatMap((times) =>
      times.slice(1).map((at, index) => at - times[index]!),
    );
  }
}

describe('the writer of MeshStatus, with 200 namespaces', () => {
  it('makes all rows, ten writes a second at most', async () => {
    const world = new World();
    await world.run(60, () => ({ rate: 1, shown: '1' }));
    expect(world.writes.size).toBe(namespaces);
    expect(world.mostInASecond()).toBeLessThanOrEqual(10);
  });

  it('writes nothing while nothing changes', async () => {
    const world = await new World().settled();
    await world.run(600, () => ({ rate: 1, shown: '1' }));
    expect(world.writes.size).toBe(0);
  });

  it('keeps all rows as fresh as ten writes a second can where all change all the time', async () => {
    const world = await new World().settled();
    await world.run(120, (index, second) => ({ rate: second * 100 + index, shown: `${second}` }));
    expect(world.mostInASecond()).toBeLessThanOrEqual(10);
    expect(Math.min(...world.gaps())).toBeGreaterThanOrEqual(10_000);
    expect(Math.max(...world.gaps())).toBeLessThanOrEqual(21_000);
    expect(world.writes.size).toBe(namespaces);
  });

  it('writes a row that changes all the time every ten seconds', async () => {
    const world = await new World().settled();
    await world.run(120, (index, second) => {
      return index === 7 ? { rate: second * 100, shown: `${second}` } : { rate: 1, shown: '1' };
    });
    expect([...world.writes.keys()]).toEqual(['namespace.n-7']);
    expect(world.gaps()).toEqual(Array.from({ length: 11 }, () => 10_000));
  });

  it('writes what people see before exact figures, and these all the same', async () => {
    const world = await new World().settled();
    const shows = (index: number) => index < 60;
    await world.run(120, (index, second) => ({
      rate: second * 100 + index,
      shown: shows(index) ? `${second}` : '1',
    }));
    const gapsOf = (filter: (index: number) => boolean) =>
      world.names.flatMap((name, index) => {
        const times = filter(index) ? (world.writes.get(name) ?? []) : [];
        return times.slice(1).map((at, i) => at - times[i]!);
      });
    expect(Math.max(...gapsOf(shows))).toBeLessThanOrEqual(16_000);
    expect(Math.max(...gapsOf((index) => !shows(index)))).toBeLessThanOrEqual(45_000);
    expect(world.mostInASecond()).toBeLessThanOrEqual(10);
  });

  it('writes trifles once in half a minute at most', async () => {
    const world = await new World().settled();
    await world.run(180, (_, second) => ({
      rate: 1,
      shown: '1',
      requests: 1_000_000 + Math.floor(second),
    }));
    expect(Math.min(...world.gaps())).toBeGreaterThanOrEqual(30_000);
    const last = world.cluster.find<MeshStatus>('MeshStatus', '', 'namespace.n-3');
    expect(last?.status?.requests).toBeGreaterThan(1_000_140);
  });

  it('leaves rows of the leader before as they are for ten seconds', async () => {
    const world = await new World().settled();
    const next = new World();
    for (const row of await world.cluster.list('MeshStatus', ''))
      next.cluster.put('MeshStatus', row);
    next.writes.clear();
    const empty = { rate: 0, shown: '0' };
    await next.run(10, () => empty);
    expect(next.writes.size).toBe(0);
    await next.run(30, () => empty);
    expect(next.writes.size).toBe(namespaces);
  });

  it('deletes rows of namespaces that are gone', async () => {
    const world = await new World().settled();
    world.names.length = 150;
    await world.run(10, () => ({ rate: 1, shown: '1' }));
    expect(await world.cluster.list('MeshStatus', '')).toHaveLength(150);
    expect(world.mostInASecond()).toBeLessThanOrEqual(10);
  });

  it('goes on with the others where one row is refused', async () => {
    const world = await new World().settled();
    const context = world.cluster.context();
    const patch = context.api.patch.bind(context.api);
    world.cluster.patch = (target, body) =>
      target.name === 'namespace.n-0' ? Promise.reject(new Error('no')) : patch(target, body);
    await world.run(60, (index, second) => ({ rate: second * 100 + index, shown: '1' }));
    expect(world.writes.size).toBe(namespaces - 1);
  });
});
