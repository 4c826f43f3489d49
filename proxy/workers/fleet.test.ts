// The main thread's view of its workers, with workers that the test speaks for: nothing holds before it
// holds everywhere.

import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { destination, endpoints, workload } from '../../test/support/sidecar.ts';
import type { ResourceError, VersionedResource } from '../api/discovery.ts';
import type { Resource } from '../api/resources.ts';
import { createTestClock } from '../net/test-clock.ts';
import { createStore } from '../state/store.ts';
import { createLogger } from '../telemetry/logger.ts';
import { Fleet, type WorkerPort } from './fleet.ts';
import type { Answer, Figures, FromWorker, ToWorker } from './messages.ts';

class FakeWorker implements WorkerPort {
  readonly heard: ToWorker[] = [];
  say: (message: FromWorker) => void = () => {};
  end: (reason: string) => void = () => {};

  post(message: ToWorker): void {
    this.heard.push(structuredClone(message));
  }

  onMessage(listener: (message: FromWorker) => void): void {
    this.say = listener;
  }

  onEnd(listener: (reason: string) => void): void {
    this.end = listener;
  }

  heapSnapshot(): Promise<Readable> {
    return Promise.resolve(Readable.from([]));
  }

  last<T extends ToWorker['type']>(type: T): Extract<ToWorker, { type: T }> | undefined {
    return this.heard.findLast((one) => one.type === type) as Extract<ToWorker, { type: T }>;
  }

  /** To the oldest question of that type. */
  answer(type: ToWorker['type'], answer: Answer = {}): void {
    const at = this.heard.findIndex((one) => one.type === type);
    const [asked] = this.heard.splice(at, 1);
    this.say({ type: 'answer', round: (asked as { round: number }).round, answer });
  }
}

const starting = { ownAddresses: ['10.0.0.1'], outbound: [], inbound: [] };
const name = '10.96.0.7:80';

function versioned(...resources: Resource[]): VersionedResource[] {
  return resources.map((resource) => ({ version: '1', resource }));
}

function make() {
  const clock = createTestClock();
  const workers = [new FakeWorker(), new FakeWorker()] as const;
  const store = createStore();
  const subscribed: string[] = [];
  const unsubscribed: string[] = [];
  const lost: string[] = [];
  const held = new Set<string>();
  const fleet = new Fleet({
    ports: workers,
    store,
    holds: (one) => held.has(one),
    registry: () => ({ type: 'open' }),
    subscribe: (one) => void subscribed.push(one),
    unsubscribe: (names) => void unsubscribed.push(...names),
    onLost: (error) => void lost.push(error.message),
    clock,
    logger: createLogger({ level: 'info', wallTimeMs: () => 0, write: () => {} }),
  });
  return { clock, workers, store, subscribed, unsubscribed, lost, held, fleet };
}

async function started() {
  const made = make();
  const ready = made.fleet.start(starting);
  for (const worker of made.workers) worker.answer('start');
  await ready;
  return made;
}

function figures(inFlight: number): Figures {
  const none = { inFlight: 0, connections: 0 };
  return { inbound: { inFlight, connections: inFlight }, outbound: none };
}

describe('a fleet that starts', () => {
  it('is ready when every worker listens', async () => {
    const { fleet, workers } = make();
    expect(fleet.pending()).toBe('worker 1 does not listen yet');
    const ready = fleet.start(starting);
    workers[0].answer('start');
    expect(fleet.pending()).toBe('worker 1 does not listen yet');
    workers[1].answer('start');
    await ready;
    expect(fleet.pending()).toBeNull();
  });

  it('gives every worker what the main thread holds', () => {
    const { fleet, workers, store } = make();
    store.apply(versioned(workload()), []);
    const identity = { material: {}, checked: { serial: 'AB' } } as never;
    let inForce = false;
    fleet.shareIdentity(identity, () => (inForce = true));
    expect(inForce).toBe(true);
    void fleet.start(starting);
    for (const [at, worker] of workers.entries()) {
      expect(worker.last('start')?.settings).toMatchObject({
        index: at + 1,
        resources: [{ resource: { type: 'Workload' } }],
        identity: { checked: { serial: 'AB' } },
      });
    }
  });

  it('fails where a worker ends before it listens', async () => {
    const { fleet, workers, lost } = make();
    const ready = fleet.start(starting);
    workers[1].end('no port');
    await expect(ready).rejects.toThrow('worker 2 ended: no port');
    expect(lost).toEqual([]);
  });
});

describe('a fleet whose worker ended before anything was asked of it', () => {
  it('does not start', async () => {
    const { fleet, workers } = make();
    workers[0].end('no memory');
    await expect(fleet.start(starting)).rejects.toThrow('worker 1 ended: no memory');
  });
});

describe('a push', () => {
  it('is in force when the last worker has it, with what any of them refused', async () => {
    const { fleet, workers } = await started();
    let refused: ResourceError[] | null = null;
    const push = { nonce: 'n', resources: versioned(destination()), removed: [] };
    fleet.apply(push, (errors) => (refused = errors));
    const error = { key: `Destination/${name}`, path: '/x', message: 'bad' } as const;
    workers[0].answer('apply', { errors: [error] });
    expect(refused).toBeNull();
    workers[1].answer('apply', { errors: [error] });
    expect(refused).toEqual([error]);
  });

  it('that makes no sense reaches the workers all the same', async () => {
    const { fleet, workers } = await started();
    const resources = [{ version: '1' }, { version: '1', resource: { type: 'Destination' } }];
    fleet.apply({ nonce: 'n', resources: resources as never, removed: [] }, () => {});
    expect(workers[0].last('apply')?.resources).toHaveLength(2);
  });
});

describe('a certificate', () => {
  it('is in force when the last worker has it', async () => {
    const { fleet, workers } = await started();
    let inForce = false;
    fleet.shareIdentity({ material: {}, checked: {} } as never, () => (inForce = true));
    workers[1].answer('identity');
    expect(inForce).toBe(false);
    workers[0].answer('identity');
    expect(inForce).toBe(true);
  });
});

describe('a destination that a worker asks for', () => {
  it('is asked of the operator, and again on the next stream', async () => {
    const { fleet, workers, subscribed } = await started();
    workers[1].say({ type: 'wanted', name });
    expect(subscribed).toEqual([name]);
    expect(fleet.asked()).toEqual([name]);
    fleet.apply({ nonce: 'n', resources: versioned(destination()), removed: [] }, () => {});
    expect(fleet.asked()).toEqual([]);
  });

  it('comes from the main thread where that one holds it', async () => {
    const { workers, store, subscribed } = await started();
    store.apply(versioned(destination(), endpoints([], null)), []);
    workers[0].say({ type: 'wanted', name });
    expect(subscribed).toEqual([]);
    expect(workers[0].last('apply')).toMatchObject({ resources: [{ resource: { name } }] });
    expect(workers[1].last('apply')).toBeUndefined();
  });
});

describe('a destination that threads forget', () => {
  it('stays while a worker holds it, and goes from all with the last', async () => {
    const { workers, store, unsubscribed } = await started();
    store.apply(versioned(destination()), []);
    workers[0].say({ type: 'unwanted', names: [name] });
    expect(store.snapshot().destinations.has(name)).toBe(true);
    workers[1].say({ type: 'unwanted', names: [name] });
    expect(store.snapshot().destinations.has(name)).toBe(false);
    expect(unsubscribed).toEqual([name]);
    // One of them may have been sent it again meanwhile.
    expect(workers[0].last('apply')?.removed).toEqual([`Destination/${name}`]);
  });

  it('stays while the main thread holds it, and goes when that one forgets it', async () => {
    const { fleet, workers, store, held, unsubscribed } = await started();
    store.apply(versioned(destination()), []);
    held.add(name);
    for (const worker of workers) worker.say({ type: 'unwanted', names: [name] });
    expect(unsubscribed).toEqual([]);
    expect(store.snapshot().destinations.has(name)).toBe(true);
    expect(fleet.forget([name])).toEqual([name]);
  });

  it('stays where only the main thread forgets it', async () => {
    const { fleet } = await started();
    expect(fleet.forget([name])).toEqual([]);
  });
});

describe('what is in flight while draining', () => {
  it('is not known to be nothing before every worker has said so since the last word', async () => {
    const { fleet, workers } = await started();
    for (const worker of workers) worker.say({ type: 'figures', token: 0, figures: figures(0) });
    expect(fleet.inFlight('inbound')).toBe(0);
    fleet.drain();
    expect(fleet.inFlight('inbound')).toBe(2);
    workers[0].say({ type: 'figures', token: 1, figures: figures(0) });
    workers[1].say({ type: 'figures', token: 1, figures: figures(3) });
    expect(fleet.inFlight('inbound')).toBe(3);
    workers[1].say({ type: 'figures', token: 1, figures: figures(0) });
    expect(fleet.inFlight('inbound')).toBe(0);
    fleet.refuse();
    expect(fleet.inFlight('inbound')).toBe(2);
  });
});

describe('a worker', () => {
  it('that ends is reported, whatever the reason', async () => {
    const { workers, lost } = await started();
    workers[0].end('exit code 1');
    expect(lost).toEqual(['worker 1 ended: exit code 1']);
  });

  it('may end once it was told to close', async () => {
    const { fleet, workers, lost } = await started();
    const closed = fleet.close(1000);
    for (const worker of workers) {
      worker.answer('close');
      worker.end('exit code 0');
    }
    await closed;
    expect(lost).toEqual([]);
  });

  it('that owes an answer for 3 s is not ready, and is asked once', async () => {
    const { fleet, workers, clock } = await started();
    expect(fleet.pending()).toBeNull();
    workers[0].answer('report');
    clock.pass(3001);
    expect(fleet.pending()).toBe('worker 2 does not answer');
    expect(workers[1].heard.filter(({ type }) => type === 'report')).toHaveLength(1);
    workers[1].answer('report');
    expect(fleet.pending()).toBeNull();
  });

  it('that does not answer holds up neither metrics nor the end', async () => {
    const { fleet, workers, clock } = await started();
    const reports = fleet.reports();
    const report = { pooled: 1 } as never;
    workers[0].answer('report', { report });
    clock.pass(1001);
    expect(await reports).toEqual([report]);
    const closed = fleet.close(1000);
    clock.pass(2001);
    await closed;
  });

  it('that is stuck is not asked for ever', async () => {
    const { fleet, workers, clock } = await started();
    for (let time = 0; time < 20; time += 1) {
      const reports = fleet.reports();
      clock.pass(1001);
      await reports;
    }
    expect(workers[0].heard.filter(({ type }) => type === 'report')).toHaveLength(8);
  });

  it('that hangs for 30 s ends the sidecar, once', async () => {
    const { fleet, workers, clock, lost } = await started();
    for (let time = 0; time < 29; time += 1) {
      const reports = fleet.reports();
      clock.pass(1000);
      await reports;
    }
    expect(lost).toEqual([]);
    for (const _ of [1, 2]) {
      clock.pass(1000);
      await fleet.reports();
    }
    expect(lost).toEqual(['worker 1 has not answered for 30 s']);
    expect(workers[1].last('report')).toBeDefined();
  });

  it('that was stopped with the whole process goes on', async () => {
    const { fleet, workers, clock, lost } = await started();
    const reports = fleet.reports();
    clock.pass(3_600_000);
    await reports;
    for (const worker of workers) worker.answer('report');
    clock.pass(1000);
    const next = fleet.reports();
    for (const worker of workers) worker.answer('report');
    await next;
    expect(lost).toEqual([]);
  });

  it('is told of a lost stream and of a new log level', async () => {
    const { fleet, workers } = await started();
    fleet.registryChanged();
    fleet.setLogLevel('debug');
    expect(workers[1].last('registry')?.registry).toEqual({ type: 'open' });
    expect(workers[1].last('log-level')?.level).toBe('debug');
  });

  it('is profiled by number, and nobody else is', async () => {
    const { fleet, workers } = await started();
    const profile = fleet.profile(2, 'cpu', 1);
    expect(workers[0].last('profile')).toBeUndefined();
    workers[1].answer('profile', { profile: { nodes: [] } });
    expect(await profile).toEqual({ nodes: [] });
    expect(fleet.profile(3, 'cpu', 1)).toBeNull();
    expect(fleet.heapSnapshot(0)).toBeNull();
  });
});

describe('what is watched', () => {
  it('is watched in every worker, and nowhere once nobody does', async () => {
    const { fleet, workers } = await started();
    const heard: unknown[] = [];
    const wish = { filter: {} as never, linesPerSecond: 5 };
    const stop = fleet.tap(wish, (line, leftOut) => heard.push([line, leftOut]));
    const { id } = workers[0].last('tap')!;
    expect(workers[1].last('tap')).toEqual({ type: 'tap', id, wish });
    workers[1].say({ type: 'tapped', id, line: '{}', leftOut: 3 });
    workers[0].say({ type: 'tapped', id: id + 1, line: 'of another', leftOut: 0 });
    stop();
    workers[0].say({ type: 'tapped', id, line: 'late', leftOut: 0 });
    expect(heard).toEqual([['{}', 3]]);
    for (const worker of workers) expect(worker.last('tap')).toMatchObject({ id, wish: null });
  });
});
