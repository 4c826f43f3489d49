import { describe, expect, it } from '@jest/globals';
import { createOutsideCounters, maxOutside, mergeOutside } from './outside.ts';

const api = { host: 'api.example.com', port: 443, by: 'sni' } as const;

describe('what leaves the mesh', () => {
  it('is counted by host, port and by what said so', () => {
    const counters = createOutsideCounters();
    counters.at(api).connections += 1;
    counters.at({ ...api }).sentBytes += 5;
    counters.at({ ...api, by: 'host' }).connections += 1;
    counters.at({ ...api, port: 444 }).refused += 1;
    const none = { connections: 0, refused: 0, sentBytes: 0, receivedBytes: 0 };
    expect(counters.snapshot()).toEqual([
      { ...api, ...none, connections: 1, sentBytes: 5 },
      { ...api, ...none, by: 'host', connections: 1 },
      { ...api, ...none, port: 444, refused: 1 },
    ]);
  });

  it('takes no more memory for a million names than for some', () => {
    const counters = createOutsideCounters();
    counters.at(api).connections += 1;
    for (let i = 0; i < 1_000_000; i += 1) {
      counters.at({ ...api, host: `h${i}.example` }).connections += 1;
    }
    counters.at(api).connections += 1;
    const all = counters.snapshot();
    expect(all).toHaveLength(maxOutside + 1);
    expect(all[0]).toMatchObject({ ...api, connections: 2 });
    expect(all.at(-1)).toMatchObject({
      host: '(other)',
      by: 'many',
      connections: 1_000_001 - maxOutside,
    });
    expect(all.reduce((sum, { connections }) => sum + connections, 0)).toBe(1_000_002);
  });

  it('is one sum of what several threads counted, and theirs stay as they were', () => {
    const parts = [createOutsideCounters(), createOutsideCounters()];
    for (const part of parts) Object.assign(part.at(api), { connections: 2, receivedBytes: 7 });
    parts[1]!.at({ ...api, port: 1 }).refused += 1;
    const merged = mergeOutside(parts.map((part) => structuredClone(part.snapshot())));
    expect(merged).toMatchObject([
      { ...api, connections: 4, receivedBytes: 14 },
      { port: 1, refused: 1 },
    ]);
    mergeOutside(parts.map((part) => part.snapshot()));
    expect(parts[0]!.snapshot()).toMatchObject([{ connections: 2 }]);
  });
});
