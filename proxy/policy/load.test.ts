import { describe, expect, it } from '@jest/globals';
import type { EndpointHandle, EndpointLoad } from '../state/prepared.ts';
import {
  answerCame,
  awaitAnswer,
  chooseEndpoint,
  expectedMs,
  fail,
  failureWeight,
  forgetAnswer,
  joinLoad,
  leave,
  leaveLoad,
  newLoad,
  observe,
  observeFailure,
  shareOf,
} from './load.ts';

function endpoint(name: string): EndpointHandle {
  const place = { address: name, port: 80, identity: null, podName: name, zone: '' };
  return { key: name, ...place, load: newLoad() };
}

function endpointsOf(count: number): EndpointHandle[] {
  return Array.from({ length: count }, (_, i) => endpoint(`pod-${i}`));
}

/** Gives the numbers one after the other. */
function sequence(...numbers: number[]): () => number {
  return () => numbers.shift() ?? 0;
}

/** So many good answers, a millisecond apart; the time after the last. */
function answers(load: EndpointLoad, latencyMs: number, count: number, fromMs = 0): number {
  for (let i = 0; i < count; i += 1) observe(load, latencyMs, fromMs + i);
  return fromMs + count;
}

/** How often each was chosen, of so many requests that end at once, a millisecond apart. */
function chosen(endpoints: readonly EndpointHandle[], count: number, fromMs = 0): number[] {
  const times = endpoints.map(() => 0);
  for (let i = 0; i < count; i += 1) {
    const one = chooseEndpoint(endpoints, [], Math.random, fromMs + i)!;
    joinLoad(one.load, fromMs + i);
    leaveLoad(one.load);
    times[endpoints.indexOf(one)]! += 1;
  }
  return times;
}

describe('the time that an answer takes', () => {
  it('is that of the first answer, once there is one', () => {
    const load = newLoad();
    expect(expectedMs(load, 0)).toBeCloseTo(0);
    observe(load, 20, 0);
    expect(expectedMs(load, 0)).toBeCloseTo(20.1);
  });

  it('rises soon with slow answers, and falls slowly with fast ones', () => {
    const load = newLoad();
    answers(load, 10, 5);
    observe(load, 200, 5);
    expect(load.ewmaMs).toBeGreaterThan(25);
    answers(load, 200, 30, 6);
    const slow = load.ewmaMs;
    expect(slow).toBeGreaterThan(180);
    answers(load, 10, 30, 40);
    expect(load.ewmaMs).toBeGreaterThan(slow * 0.95);
    observe(load, 10, 120_000);
    expect(load.ewmaMs).toBeLessThan(30);
  });

  it('is forgotten, so that a bad endpoint is tried again', () => {
    const load = newLoad();
    observe(load, 5000, 0);
    expect(expectedMs(load, 10_000)).toBeCloseTo(2500, -1);
    expect(expectedMs(load, 990_000)).toBeLessThan(51);
  });

  it('does not go wrong when time seems to go back', () => {
    const load = { ...newLoad(), ewmaMs: 10, observedAtMs: 5000 };
    observe(load, 5, 4000);
    expect(load.ewmaMs).toBe(10);
    expect(load.observedAtMs).toBe(5000);
    expect(expectedMs(load, 4000)).toBeCloseTo(10.1);
  });

  it('is at least how long an endpoint that owes answers has been silent', () => {
    const load = newLoad();
    observe(load, 10, 0);
    awaitAnswer(load, 1_000);
    awaitAnswer(load, 1_200);
    expect(expectedMs(load, 1_300)).toBeCloseTo(300.1);
    answerCame(load, 1_300);
    expect(expectedMs(load, 1_305)).toBeLessThan(11);
    expect(expectedMs(load, 1_700)).toBeCloseTo(400.1);
    forgetAnswer(load);
    expect(expectedMs(load, 1_700)).toBeLessThan(11);
  });
});

describe('failures', () => {
  it('that come fast do not make an endpoint look quick', () => {
    const load = newLoad();
    answers(load, 10, 3);
    for (let i = 0; i < 10; i += 1) observeFailure(load, 0.1, 3, true);
    expect(load.ewmaMs).toBe(10);
    expect(failureWeight(load, 3)).toBeGreaterThan(100);
  });

  it('that come late make it look slow too', () => {
    const load = newLoad();
    answers(load, 10, 3);
    observeFailure(load, 1000, 3, false);
    expect(load.ewmaMs).toBeGreaterThan(100);
  });

  it('of one request in a hundred hardly count', () => {
    const load = newLoad();
    answers(load, 10, 99);
    observeFailure(load, 10, 99, true);
    expect(failureWeight(load, 99)).toBeLessThan(1.5);
  });

  it('count more where there was no answer at all', () => {
    const [answered, silent] = [newLoad(), newLoad()];
    fail(answered, 0, true);
    fail(silent, 0, false);
    expect(silent.failures).toBeGreaterThan(answered.failures);
  });

  it('fade with time, but one more brings them back', () => {
    const load = newLoad();
    answers(load, 10, 3);
    for (let i = 0; i < 20; i += 1) observeFailure(load, 1, 3, true);
    const bad = failureWeight(load, 3);
    expect(failureWeight(load, 60_000)).toBeLessThan(3);
    observeFailure(load, 1, 60_000, true);
    expect(failureWeight(load, 60_000)).toBeGreaterThan(bad * 0.9);
  });

  it('are forgotten with good answers', () => {
    const load = newLoad();
    for (let i = 0; i < 20; i += 1) observeFailure(load, 1, 0, true);
    answers(load, 10, 50);
    expect(failureWeight(load, 50)).toBeLessThan(1.1);
  });
});

describe('choosing the endpoint with the least to do', () => {
  it('has none to give from an empty list', () => {
    expect(chooseEndpoint([], [], () => 0, 0)).toBeNull();
  });

  it('gives the only one although it is to be avoided', () => {
    const only = endpoint('a');
    expect(chooseEndpoint([only], [only], () => 0, 0)).toBe(only);
  });

  it('gives one that goes only where there is no other, and for some time', () => {
    const [going, staying] = [endpoint('going'), endpoint('staying')];
    leave(going.load, 0);
    for (const draw of [0, 0.99]) {
      expect(chooseEndpoint([going, staying], [], sequence(draw), 1)).toBe(staying);
      expect(chooseEndpoint([going], [], sequence(draw), 1)).toBe(going);
    }
    answers(staying.load, 50, 5, 60_000);
    answers(going.load, 1, 5, 60_000);
    expect(chooseEndpoint([going, staying], [], sequence(0), 60_010)).toBe(going);
  });

  it('gives the quicker one, whichever it looked at first', () => {
    const [slow, fast] = [endpoint('slow'), endpoint('fast')];
    observe(slow.load, 50, 0);
    observe(fast.load, 5, 0);
    expect(chooseEndpoint([slow, fast], [], sequence(0), 0)).toBe(fast);
    expect(chooseEndpoint([slow, fast], [], sequence(0.6), 0)).toBe(fast);
  });

  it('gives a slow one too once the quick one has enough to do', () => {
    const [slow, fast] = [endpoint('slow'), endpoint('fast')];
    observe(slow.load, 50, 0);
    observe(fast.load, 5, 0);
    for (let i = 0; i < 12; i += 1) joinLoad(fast.load, 0);
    expect(chooseEndpoint([fast, slow], [], sequence(0), 0)).toBe(slow);
  });

  it('lets the number in flight decide between endpoints that are about as quick', () => {
    const [a, b] = [endpoint('a'), endpoint('b')];
    observe(a.load, 10, 0);
    observe(b.load, 13, 0);
    joinLoad(a.load, 0);
    expect(chooseEndpoint([a, b], [], sequence(0), 0)).toBe(b);
  });

  it('goes round where nothing tells endpoints apart', () => {
    expect(new Set(chosen(endpointsOf(8), 800))).toEqual(new Set([100]));
  });

  it('looks at some of many only, and comes to all', () => {
    const times = chosen(endpointsOf(100), 10_000);
    expect(Math.min(...times)).toBeGreaterThan(50);
    expect(Math.max(...times)).toBeLessThan(150);
  });

  it('takes an endpoint never heard of for as good as another, not for the best', () => {
    const endpoints = endpointsOf(3);
    observe(endpoints[0]!.load, 10, 0);
    observe(endpoints[1]!.load, 10, 0);
    joinLoad(endpoints[2]!.load, 0);
    expect(chooseEndpoint(endpoints, [], () => 0.99, 1)).not.toBe(endpoints[2]);
  });

  it('does not take one whose first answers failed fast, or are owed since just now, for a quick one', () => {
    const [good, failing, asked] = endpointsOf(3) as [
      EndpointHandle,
      EndpointHandle,
      EndpointHandle,
    ];
    observe(good.load, 100, 0);
    for (let i = 0; i < 10; i += 1) observeFailure(failing.load, 0.1, 0, true);
    expect(chooseEndpoint([good, failing], [], sequence(0.6), 1)).toBe(good);
    joinLoad(asked.load, 0);
    awaitAnswer(asked.load, 0);
    expect(chooseEndpoint([good, asked], [], sequence(0.6), 1)).toBe(good);
  });

  it('hardly asks an endpoint that fails fast, and comes back when it is well', () => {
    const endpoints = endpointsOf(3);
    let failed = 0;
    const run = (fromMs: number, untilMs: number, fails: boolean): void => {
      for (let nowMs = fromMs; nowMs < untilMs; nowMs += 10) {
        const one = chooseEndpoint(endpoints, [], Math.random, nowMs)!;
        joinLoad(one.load, nowMs);
        leaveLoad(one.load);
        if (fails && one === endpoints[0]) {
          failed += 1;
          observeFailure(one.load, 0.1, nowMs, true);
        } else observe(one.load, 10, nowMs);
      }
    };
    run(0, 10_000, false);
    run(10_000, 40_000, true);
    expect(failed).toBeLessThan(15);
    const before = failed;
    run(40_000, 100_000, true);
    expect(failed - before).toBeLessThan(6);
    run(100_000, 200_000, false);
    const times = chosen(endpoints, 300, 200_000);
    expect(times[0]).toBe(100);
  });

  it('avoids the endpoint of the attempt before', () => {
    const [a, b] = [endpoint('a'), endpoint('b')];
    observe(b.load, 50, 0);
    expect(chooseEndpoint([a, b], [a], sequence(0), 0)).toBe(b);
    expect(chooseEndpoint([a, b], [a], sequence(0.6), 0)).toBe(b);
  });

  it.each([4, 40])('gives each of %s endpoints once before one twice', (count) => {
    const list = endpointsOf(count);
    for (let round = 0; round < 20; round += 1) {
      const tried: EndpointHandle[] = [];
      for (let i = 0; i < count; i += 1) {
        const one = chooseEndpoint(list, tried, Math.random, 0)!;
        expect(tried).not.toContain(one);
        tried.push(one);
      }
      expect(list).toContain(chooseEndpoint(list, tried, Math.random, 0));
    }
  });
});

describe('a new endpoint', () => {
  function warming(load: EndpointLoad): void {
    load.warmFromMs = 0;
    load.warmUntilMs = 10_000;
  }

  it('begins with a tenth of its share, which grows evenly', () => {
    const load = newLoad();
    expect(shareOf(load, 0)).toBe(1);
    warming(load);
    expect(shareOf(load, -5)).toBeCloseTo(0.1);
    expect(shareOf(load, 0)).toBeCloseTo(0.1);
    expect(shareOf(load, 5_000)).toBeCloseTo(0.55);
    expect(shareOf(load, 10_000)).toBe(1);
  });

  it('gets that share of requests', () => {
    const endpoints = endpointsOf(5);
    warming(endpoints[0]!.load);
    const early = chosen(endpoints, 1_000);
    // From 10 % to 19 % of what each of the others gets.
    expect(early[0]! / early[1]!).toBeGreaterThan(0.1);
    expect(early[0]! / early[1]!).toBeLessThan(0.2);
    const late = chosen(endpoints, 1_000, 9_000);
    expect(late[0]! / late[1]!).toBeGreaterThan(0.88);
    expect(chosen(endpoints, 1_000, 10_000)).toEqual([200, 200, 200, 200, 200]);
  });

  it('gets as much as the others where all are new', () => {
    const endpoints = endpointsOf(4);
    for (const { load } of endpoints) warming(load);
    for (const times of chosen(endpoints, 1_000)) {
      expect(times).toBeGreaterThan(200);
      expect(times).toBeLessThan(300);
    }
  });
});
