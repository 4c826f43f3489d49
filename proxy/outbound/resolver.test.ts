import { describe, expect, it } from '@jest/globals';
import type { Resource } from '../api/resources.ts';
import { createTestClock } from '../net/test-clock.ts';
import { createStore } from '../state/store.ts';
import { destination, workload } from '../../test/support/sidecar.ts';
import { createResolver, type Registry, type Resolution } from './resolver.ts';

function setup(options: { maxWaiters?: number; maxIdle?: number } = {}) {
  const clock = createTestClock(0);
  const store = createStore();
  const registry: { value: Registry } = { value: 'connected' };
  const wanted: string[] = [];
  const unwanted: string[] = [];
  const resolver = createResolver({
    store,
    clock,
    registry: () => registry.value,
    onWanted: (name) => void wanted.push(name),
    onUnwanted: (names) => void unwanted.push(...names),
    ...options,
  });
  const apply = (...resources: Resource[]) =>
    store.apply(
      resources.map((resource) => ({ version: '1', resource })),
      [],
    );
  apply(workload());
  const results: Resolution[] = [];
  const waiter = { onResolved: (resolution: Resolution) => void results.push(resolution) };
  return { clock, store, registry, wanted, unwanted, resolver, apply, results, waiter };
}

describe('the resolver', () => {
  it('answers a known destination at once', () => {
    const { resolver, apply, waiter } = setup();
    apply(destination());
    expect(resolver.resolve('10.96.0.7', 80, waiter)).toMatchObject({
      type: 'known',
      destination: { host: 'app.shop:80' },
    });
  });

  it('asks once for an unknown destination and answers all who wait when it comes', () => {
    const { resolver, apply, waiter, wanted, results } = setup();
    expect(resolver.resolve('10.96.0.7', 80, waiter)).toBeNull();
    expect(resolver.resolve('10.96.0.7', 80, waiter)).toBeNull();
    expect(wanted).toEqual(['10.96.0.7:80']);
    expect(resolver.wanted()).toEqual(['10.96.0.7:80']);
    apply(destination());
    expect(results.map((result) => result.type)).toEqual(['known', 'known']);
  });

  it('passes what the operator says is not in the mesh', () => {
    const { resolver, apply, waiter, results } = setup();
    resolver.resolve('10.96.0.7', 80, waiter);
    apply(destination({ kind: 'external', routes: [], tcp: [] }));
    expect(results).toEqual([{ type: 'pass', name: '10.96.0.7:80', unsure: false }]);
  });

  it('refuses what is not in the mesh where it is RegistryOnly', () => {
    const { resolver, apply, waiter } = setup();
    apply(
      { ...workload(), outbound: { policy: 'RegistryOnly', whenDisconnected: 'refuse' } },
      destination({ kind: 'external', host: 'example.org:443' }),
    );
    expect(resolver.resolve('10.96.0.7', 80, waiter)).toEqual({
      type: 'refuse',
      code: 'registry-only',
      detail: 'example.org:443',
    });
  });

  it('waits one second, then decides as if the operator were away', () => {
    const { resolver, clock, waiter, results } = setup();
    resolver.resolve('10.96.0.7', 80, waiter);
    clock.pass(999);
    expect(results).toEqual([]);
    clock.pass(1);
    expect(results).toEqual([{ type: 'pass', name: '10.96.0.7:80', unsure: true }]);
  });

  it('does not wait while the operator is away, and passes only where that was allowed', () => {
    const { resolver, apply, registry, waiter, wanted } = setup();
    registry.value = 'disconnected';
    expect(resolver.resolve('1.2.3.4', 5, waiter)).toMatchObject({ type: 'pass', unsure: true });
    apply({ ...workload(), outbound: { policy: 'AllowAny', whenDisconnected: 'refuse' } });
    expect(resolver.resolve('1.2.3.4', 5, waiter)).toMatchObject({
      type: 'refuse',
      code: 'destination-unknown',
    });
    apply({ ...workload(), outbound: { policy: 'RegistryOnly', whenDisconnected: 'pass' } });
    expect(resolver.resolve('1.2.3.4', 5, waiter)).toMatchObject({ code: 'destination-unknown' });
    expect(wanted).toEqual([]);
  });

  it('takes all it does not hold for external where there is no operator at all', () => {
    const { resolver, apply, registry, waiter } = setup();
    registry.value = 'none';
    expect(resolver.resolve('1.2.3.4', 5, waiter)).toMatchObject({ type: 'pass', unsure: false });
    apply({ ...workload(), outbound: { policy: 'RegistryOnly', whenDisconnected: 'refuse' } });
    expect(resolver.resolve('1.2.3.4', 5, waiter)).toMatchObject({ code: 'registry-only' });
  });

  it('holds connections before the first configuration, and says so when none comes', () => {
    const { resolver, store, clock, waiter, results } = setup();
    store.apply([], ['Workload/self']);
    expect(resolver.resolve('1.2.3.4', 5, waiter)).toBeNull();
    clock.pass(1000);
    expect(results).toMatchObject([{ type: 'refuse', code: 'not-ready' }]);
  });

  it('bounds how many wait', () => {
    const { resolver, waiter } = setup({ maxWaiters: 2 });
    resolver.resolve('10.0.0.1', 80, waiter);
    resolver.resolve('10.0.0.2', 80, waiter);
    expect(resolver.resolve('10.0.0.3', 80, waiter)).toMatchObject({ code: 'overload' });
    resolver.cancel('10.0.0.1', 80, waiter);
    expect(resolver.resolve('10.0.0.3', 80, waiter)).toBeNull();
  });

  it('does not answer who no longer waits', () => {
    const { resolver, apply, waiter, results } = setup();
    resolver.resolve('10.96.0.7', 80, waiter);
    resolver.cancel('10.96.0.7', 80, waiter);
    resolver.cancel('10.96.0.7', 80, waiter);
    apply(destination());
    expect(results).toEqual([]);
  });

  it('forgets the destinations that were used least lately, never one in use', () => {
    const { resolver, apply, waiter, unwanted, store } = setup({ maxIdle: 10 });
    const name = (i: number) => `10.0.0.${i}:80`;
    apply(...Array.from({ length: 11 }, (_, i) => destination({ name: name(i) })));
    resolver.resolve('10.0.0.0', 80, waiter);
    resolver.resolve('10.0.0.1', 80, waiter);
    resolver.release(name(1));
    expect(unwanted).toEqual([]);
    apply(destination({ name: name(11) }));
    resolver.resolve('10.0.0.2', 80, waiter);
    resolver.release(name(2));
    expect(unwanted).toEqual([name(3), name(4)]);
    expect(store.snapshot().destinations.has(name(0))).toBe(true);
    expect(store.snapshot().destinations.has(name(3))).toBe(false);
    expect(resolver.wanted()).toContain(name(0));
    expect(resolver.wanted()).not.toContain(name(3));
  });

  it('forgets what others asked for, too, where nobody here connects', () => {
    const { resolver, apply, waiter, unwanted } = setup({ maxIdle: 10 });
    const name = (i: number) => `10.0.0.${i}:80`;
    apply(...Array.from({ length: 12 }, (_, i) => destination({ name: name(i) })));
    resolver.resolve('10.0.0.0', 80, waiter);
    resolver.trim();
    expect(unwanted).toEqual([name(1), name(2)]);
    expect([0, 1, 3, 99].map((i) => resolver.holds(name(i)))).toEqual([true, false, true, false]);
    resolver.trim();
    expect(unwanted).toHaveLength(2);
  });

  it('forgets nothing where there is nobody to ask for it again', () => {
    const { resolver, registry, apply, waiter, unwanted, store } = setup({ maxIdle: 10 });
    registry.value = 'none';
    const name = (i: number) => `10.0.0.${i}:80`;
    apply(...Array.from({ length: 20 }, (_, i) => destination({ name: name(i) })));
    resolver.resolve('10.0.0.0', 80, waiter);
    resolver.release(name(0));
    resolver.trim();
    expect(unwanted).toEqual([]);
    expect(store.snapshot().destinations.size).toBe(20);
  });

  it('ignores a release of what is not held', () => {
    const { resolver } = setup();
    resolver.release('1.2.3.4:5');
    expect(resolver.wanted()).toEqual([]);
  });
});
