import { describe, expect, it } from '@jest/globals';
import { MemoryApi } from '../ca/test-api.ts';
import { ApiError } from '../resources/api-client.ts';
import { ManualClock } from '../runtime/test-clock.ts';
import {
  LeaderElection,
  decideLease,
  formatHolder,
  parseHolder,
  type LeaseObject,
  type Replica,
} from './leader-election.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const lease = { namespace: 'tsmesh-system', name: 'tsmesh-operator' };

function replica(api: MemoryApi, clock: ManualClock, name: string) {
  const log: string[] = [];
  let leader: Replica | null = null;
  const self = { name, ip: `10.0.0.${name.length}` };
  const deps = { api, clock, logger: silent, random: () => 0.5, self, lease };
  const election = new LeaderElection(deps, {
    onLead: () => log.push('lead'),
    onLost: () => log.push('lost'),
    onLeader: (now) => (leader = now),
  });
  return { election, log, self, leader: () => leader };
}

describe('leader election', () => {
  it('makes one of two replicas the leader, and tells the other where it is', async () => {
    const [api, clock] = [new MemoryApi(), new ManualClock()];
    const [a, b] = [replica(api, clock, 'a'), replica(api, clock, 'bb')];
    a.election.start();
    await clock.advance(100);
    b.election.start();
    await clock.advance(60_000);
    expect([a.election.leading, b.election.leading]).toEqual([true, false]);
    expect(b.leader()).toEqual(a.self);
    expect([a.log, b.log]).toEqual([['lead'], []]);
  });

  it('hands over within seconds when the leader ends in order', async () => {
    const [api, clock] = [new MemoryApi(), new ManualClock()];
    const [a, b] = [replica(api, clock, 'a'), replica(api, clock, 'bb')];
    a.election.start();
    await clock.advance(100);
    b.election.start();
    await clock.advance(5_000);
    const ended = a.election.stop();
    await clock.advance(3_000);
    await ended;
    expect([a.election.leading, b.election.leading]).toEqual([false, true]);
    expect(a.log).toEqual(['lead', 'lost']);
  });

  it('takes over from a leader that died, but only after the whole lease', async () => {
    const [api, clock] = [new MemoryApi(), new ManualClock()];
    const dead = replica(api, clock, 'dead');
    const next = replica(api, clock, 'next-one');
    dead.election.start();
    await clock.advance(100);
    // It dies without a word: nothing renews its lease any more.
    const held = structuredClone(await api.get<LeaseObject>('Lease', lease.namespace, lease.name));
    await Promise.all([dead.election.stop(), clock.advance(0)]);
    api.put('Lease', held!);
    next.election.start();
    await clock.advance(14_000);
    expect(next.election.leading).toBe(false);
    await clock.advance(6_000);
    expect(next.election.leading).toBe(true);
  });

  it('stops leading before others may begin when it cannot renew', async () => {
    const [api, clock] = [new MemoryApi(), new ManualClock()];
    const a = replica(api, clock, 'a');
    a.election.start();
    await clock.advance(3_000);
    api.beforeWrite = () => {
      throw new ApiError('Unavailable', 0, 'the API server is away');
    };
    const sinceMs = clock.nowMs();
    while (a.election.leading) await clock.advance(500);
    expect(clock.nowMs() - sinceMs).toBeLessThan(15_000);
    api.beforeWrite = () => undefined;
    await clock.advance(5_000);
    expect(a.log).toEqual(['lead', 'lost', 'lead']);
  });

  it('stops leading in time although a request hangs, and does not trust a write that took too long', async () => {
    const [api, clock] = [new MemoryApi(), new ManualClock()];
    const a = replica(api, clock, 'a');
    a.election.start();
    await clock.advance(3_000);
    const answers: (() => void)[] = [];
    const replace = api.replace.bind(api);
    api.replace = async (kind, object) => {
      await new Promise<void>((resolve) => answers.push(resolve));
      return replace(kind, object);
    };
    await clock.advance(14_000);
    expect(a.election.leading).toBe(false);
    answers.shift()?.();
    await clock.advance(0);
    expect(a.election.leading).toBe(false);
    expect(a.log).toEqual(['lead', 'lost']);
  });

  it('yields when another replica wrote first', async () => {
    const [api, clock] = [new MemoryApi(), new ManualClock()];
    const a = replica(api, clock, 'a');
    let raced = false;
    api.beforeWrite = () => {
      if (raced) return;
      raced = true;
      const spec = { holderIdentity: 'other_10.0.0.9', leaseDurationSeconds: 15 };
      api.put('Lease', { metadata: { ...lease }, spec } as LeaseObject);
    };
    a.election.start();
    await clock.advance(5_000);
    expect(a.election.leading).toBe(false);
    expect(a.leader()).toEqual({ name: 'other', ip: '10.0.0.9' });
  });
});

describe('a holder', () => {
  it.each([[{ name: 'tsmesh-operator-abc-12', ip: '10.0.0.1' }], [{ name: 'x', ip: 'fd00::1' }]])(
    'is read as it was written: %j',
    (written) => {
      expect(parseHolder(formatHolder(written))).toEqual(written);
    },
  );

  it.each(['', 'no-address', '_10.0.0.1', 'name_', null, undefined])('%j is none', (text) => {
    expect(parseHolder(text)).toBeNull();
  });
});

describe('the decision on a lease', () => {
  const held = (by: string): LeaseObject => ({
    metadata: { ...lease },
    spec: { holderIdentity: by, leaseDurationSeconds: 15 },
  });

  it.each([
    ['is absent', null, 0, 'acquire'],
    ['was given away', held(''), 0, 'acquire'],
    ['is ours', held('me'), 99_000, 'renew'],
    ['is another’s and fresh', held('you'), 15_000, 'wait'],
    ['is another’s and has run out', held('you'), 15_001, 'acquire'],
  ])('where it %s', (_, object, unchangedMs, decision) => {
    expect(decideLease(object, 'me', unchangedMs)).toBe(decision);
  });
});
