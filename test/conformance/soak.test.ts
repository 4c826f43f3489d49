// The soak in short: mixed load through two sidecars, certificates renewed meanwhile. Its long form is
// `node hack/soak.ts`, which also judges memory.

import { describe, expect, it } from '@jest/globals';
import { soak } from '../soak/soak.ts';

const kinds = ['get-1024', 'post-10000', 'h2', 'h2-cancel', 'upgrade', 'slow', 'abort'];
const tcpKinds = ['tcp-1000', 'tcp-3000000-slow', 'talk', 'tcp-abort', 'greeting'];

describe('mixed load through two sidecars', () => {
  it('loses, doubles and mixes up nothing, and leaves nothing open', async () => {
    const { ledger, before, after } = await soak({
      durationMs: 20_000,
      rate: 0.7,
      renewEveryMs: 6_000,
      sampleEveryMs: 5_000,
    });
    expect(ledger.words).toEqual([]);
    for (const kind of [...kinds, ...tcpKinds]) expect(ledger.done.get(kind)).toBeGreaterThan(0);
    // Connections to the app stay idle for some seconds: some are there at the end, of some hundred that were.
    for (const side of ['caller', 'callee'] as const)
      expect(after[side].openFiles - before[side].openFiles).toBeLessThanOrEqual(24);
  }, 120_000);
});
