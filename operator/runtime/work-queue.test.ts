import { describe, expect, it } from '@jest/globals';
import type { Logger } from '../resources/logger.ts';
import { settle, ManualClock } from './test-clock.ts';
import { WorkQueue, type Again } from './work-queue.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function queueOf(run: (key: string) => Promise<Again | void>, concurrency = 2) {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const logger = { ...silent, warn: (message: string) => warnings.push(message) };
  const backoff = { baseMs: 100, maxMs: 1_000 };
  const options = { name: 'test', concurrency, backoff, clock, logger, random: () => 0 };
  return { clock, warnings, queue: new WorkQueue({ ...options, run }) };
}

/** A run that ends when told. */
function gate() {
  const waiting: (() => void)[] = [];
  return {
    run: () => new Promise<void>((resolve) => waiting.push(resolve)),
    open: () => waiting.shift()?.(),
    get size() {
      return waiting.length;
    },
  };
}

describe('a work queue', () => {
  it('runs a key once, however often it was added before it ran', async () => {
    const runs: string[] = [];
    const { queue } = queueOf((key) => Promise.resolve(void runs.push(key)), 1);
    for (const key of ['a', 'b', 'b', 'b', 'a']) queue.add(key);
    await queue.idle();
    // `a` ran at once, when it was added first, so the later `a` is news.
    expect(runs).toEqual(['a', 'b', 'a']);
  });

  it('never runs one key twice at the same time, and runs it again for what came meanwhile', async () => {
    const { run, open, ...held } = gate();
    let running = 0;
    let most = 0;
    let runs = 0;
    const { queue } = queueOf(async () => {
      running += 1;
      runs += 1;
      most = Math.max(most, running);
      await run();
      running -= 1;
    });
    queue.add('a');
    queue.add('a');
    queue.add('a');
    await settle();
    expect(held.size).toBeLessThanOrEqual(1);
    open();
    await settle();
    open();
    await queue.idle();
    expect({ runs, most }).toEqual({ runs: 2, most: 1 });
  });

  it('runs no more keys at a time than it may', async () => {
    const held = gate();
    const { queue } = queueOf(held.run, 2);
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    await settle();
    expect(held.size).toBe(2);
    expect(queue.length).toBe(4);
    for (let i = 0; i < 4; i += 1) {
      held.open();
      await settle();
    }
    expect(queue.length).toBe(0);
  });

  it('tries a failed key again with growing pauses, and forgets them after a success', async () => {
    const times: number[] = [];
    let failures = 3;
    const { queue, clock, warnings } = queueOf(() => {
      times.push(clock.nowMs());
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error('no')) : Promise.resolve();
    });
    queue.add('a');
    await clock.advance(10_000);
    const pauses = times.slice(1).map((time, i) => time - times[i]!);
    expect(pauses).toEqual([50, 100, 200]);
    expect(warnings).toHaveLength(3);
    failures = 1;
    queue.add('a');
    await clock.advance(10_000);
    expect(times.at(-1)! - times.at(-2)!).toBe(50);
  });

  it('does not wait for a backoff when the key is added: something changed', async () => {
    let runs = 0;
    const { queue, clock } = queueOf(() => {
      runs += 1;
      return runs === 1 ? Promise.reject(new Error('no')) : Promise.resolve();
    });
    queue.add('a');
    await settle();
    queue.add('a');
    await queue.idle();
    expect(runs).toBe(2);
    expect(clock.nextInMs()).toBeNull();
  });

  it('runs a key again when a run asked for it', async () => {
    const times: number[] = [];
    const { queue, clock } = queueOf(() => {
      times.push(clock.nowMs());
      return Promise.resolve(times.length < 3 ? { afterMs: 700 } : undefined);
    });
    queue.add('a');
    await clock.advance(5_000);
    expect(times.map((time) => time - times[0]!)).toEqual([0, 700, 1_400]);
  });

  it('takes nothing more once stopped, and ends only after what runs has ended', async () => {
    const held = gate();
    let runs = 0;
    const { queue, clock } = queueOf(async () => {
      runs += 1;
      await held.run();
    }, 1);
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    let stopped = false;
    const stopping = queue.stop().then(() => (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    held.open();
    await stopping;
    queue.add('d');
    await clock.advance(1_000);
    expect(runs).toBe(1);
  });
});
