// connectconformance: gRPC, gRPC-Web and Connect over HTTP/1.1 and HTTP/2 between the suite's own client
// and server, through two sidecars with mutual TLS and through each alone in plaintext. A sample in
// `npm test`, all cases in `npm run test:full`.
import { describe, expect, it } from '@jest/globals';
import type { WayToApp } from '../support/paths-to-app.ts';
import { isWhole, samples } from '../support/samples.ts';
import { runSuite, suiteModes, type SuiteMode } from './connect-suite.ts';

interface Part {
  mode: SuiteMode;
  way: WayToApp;
  only: readonly string[];
  /** How many there are, and pass with no sidecar between (`node test/support/connect-baseline.ts`). */
  cases: number;
  /** In plaintext: seen as HTTP by sidecars. The others are TLS of the peers' own. */
  plaintext: number;
}

const basic = ['Basic/**'];
const sample: readonly Part[] = [
  { mode: 'server', way: 'two', only: [], cases: 1182, plaintext: 1182 },
  { mode: 'client', way: 'two', only: [], cases: 1703, plaintext: 1703 },
  { mode: 'server', way: 'caller', only: basic, cases: 92, plaintext: 92 },
  { mode: 'server', way: 'callee', only: basic, cases: 92, plaintext: 92 },
];

const cases = { server: 10_756, client: 13_094 } as const;
const plaintext = { server: 5438, client: 6767 } as const;
const whole: readonly Part[] = (['two', 'caller', 'callee'] as const).flatMap((way) =>
  suiteModes.map((mode) => ({
    mode,
    way,
    only: [],
    cases: cases[mode],
    plaintext: plaintext[mode],
  })),
);

const parts = isWhole() ? whole : sample;
const config = isWhole() ? 'whole.yaml' : 'sample.yaml';

describe('connectconformance', () => {
  it('has as many cases as the list of samples says', () => {
    const count = (list: readonly Part[]) => list.reduce((sum, part) => sum + part.cases, 0);
    const { sample: few, whole: all } = samples.connectCases;
    expect([count(sample), count(whole)]).toEqual([few, all]);
  });

  it.each(parts)(
    'passes its $cases cases of a $mode, sidecars between: $way',
    async ({ mode, way, only, ...expected }) => {
      const { total, passed, failed, carried } = await runSuite({ mode, way, config, only });
      expect(failed).toEqual([]);
      expect([total, passed]).toEqual([expected.cases, expected.cases]);
      // It went where the test says; a few cases give up before anything is sent on.
      const most = expected.plaintext * 0.99;
      expect(carried.requests).toBeGreaterThan(most);
      if (way === 'two') expect(carried.mtlsRequests).toBeGreaterThan(most);
      else expect(carried.mtlsRequests).toBe(0);
      expect(carried.mtlsConnections).toBe(way === 'two' ? carried.connections : 0);
    },
    600_000,
  );
});
