// That a choice leaves nothing for the garbage collector, by V8's own count of what was allocated since the start.
import { getHeapStatistics } from 'node:v8';
import { expect, it } from '@jest/globals';
import type { BalancingMethod } from '../api/resources.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { createChooser } from './choosers.ts';
import { joinLoad, leaveLoad, newLoad, observe } from './load.ts';
import { Roster } from './roster.ts';

const methods: BalancingMethod[] = ['least-request', 'round-robin', 'random', 'consistent-hash'];
const choices = 100_000;
/** The least object takes more: numbers that V8 puts into one here and there are less on average. */
const mostBytes = 16;

function endpoint(index: number): EndpointHandle {
  const name = `pod-${index}`;
  const load = newLoad();
  observe(load, 5.5 + (index % 20), 0);
  return { key: name, address: name, port: 80, identity: null, podName: name, zone: '', load };
}

it.each(methods)('%s allocates nothing', (method) => {
  const endpoints = Array.from({ length: 100 }, (_, i) => endpoint(i));
  const turns = { last: null, ring: null };
  const chooser = createChooser(new Roster(endpoints, 0), { method, loadPercent: 125 }, turns);
  // Not a list of numbers only: reading one of those may make an object of it.
  const draws: (number | string)[] = ['', ...Array.from({ length: 63 }, (_, i) => (i + 0.5) / 64)];
  let turn = 0;
  const random = (): number => draws[1 + ((turn += 1) % 63)] as number;
  const asks = Array.from({ length: 256 }, (_, i) => ({ hash: (i << 22) >>> 0, token: '' }));
  const nobody: EndpointHandle[] = [];
  const bytesEach = Array.from({ length: 10 }, () => {
    const before = getHeapStatistics().total_allocated_bytes;
    for (let i = 0; i < choices; i += 1) {
      const one = chooser.choose(asks[i & 255]!, nobody, random, i)!;
      joinLoad(one.load, i);
      leaveLoad(one.load);
    }
    return (getHeapStatistics().total_allocated_bytes - before) / choices;
  });
  expect(Math.min(...bytesEach)).toBeLessThan(mostBytes);
});
