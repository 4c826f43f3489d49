// The balancers in the model (a pure simulation, the same for the same seeds), and what a choice costs in this process.
import { createChooser } from '../../proxy/policy/choosers.ts';
import { hashText } from '../../proxy/policy/hash.ts';
import { chooseEndpoint, joinLoad, leaveLoad, observe } from '../../proxy/policy/load.ts';
import { Roster } from '../../proxy/policy/roster.ts';
import type { BalancingMethod } from '../../proxy/api/resources.ts';
import { say } from '../lib/steps.ts';
import { ownName, writeSection, type Measured } from './balancing-document.ts';
import { quantile, seeded, simulate, type NewBalancer } from './balancing-model.ts';
import { handle, OwnBalancer } from './balancing-own.ts';
import { rivals } from './balancing-rivals.ts';
import { scenarios } from './balancing-scenarios.ts';
import { row } from './process-figures.ts';

const callerCounts = [1, 10, 50];
const seeds = [1, 2, 3, 4, 5];

const entrants: Readonly<Record<string, NewBalancer>> = {
  [ownName]: (random) => new OwnBalancer(random),
  ...rivals,
};

export function benchBalancing(): Promise<string[]> {
  const measured = callerCounts.flatMap((callers) =>
    scenarios(callers).map((scenario): Measured => {
      const title = `${scenario.name}, ${callers === 1 ? 'one caller' : `${callers} callers`}`;
      say(`  ${title}`);
      const runs = Object.entries(entrants).map(([name, make]) => {
        const outcomes = seeds.map((seed) => {
          const { latencies, failed } = simulate(scenario, make, seed);
          const p99Ms = quantile(latencies, 0.99);
          return { p99Ms, failedPercent: (100 * failed) / latencies.length };
        });
        return [name, outcomes] as const;
      });
      return { title, runs: Object.fromEntries(runs) };
    }),
  );
  const words = `\`npm run bench -- balancing\`: medians of ${seeds.length} seeds of 30 s each.`;
  writeSection('model', words, 'The slowest of a hundred answers, in the model', measured);
  const costs = costRows();
  return Promise.resolve([
    row('what', 'p99 against Envoy, against round robin'),
    row('---', '---'),
    ...measured.map(verdict),
    ...costs,
  ]);
}

/** Of the same seeds, so that arrivals and work are the same. */
function verdict({ title, runs }: Measured): string {
  const against = (rival: string): string => {
    const own = runs[ownName]!;
    const ratios = runs[rival]!.map(({ p99Ms }, i) => ratio(own[i]!.p99Ms, p99Ms));
    const sorted = ratios.toSorted((a, b) => a - b);
    const median = sorted[Math.trunc(sorted.length / 2)]!;
    const [low, high] = [sorted[0]!, sorted.at(-1)!];
    return `× ${median.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
  };
  return row(title, `${against('Envoy, least request')}; ${against('round robin')}`);
}

function ratio(own: number, other: number): number {
  if (own === other) return 1;
  return Number.isFinite(other) ? own / other : 0;
}

const count = 1_000;
const choices = 1_000_000;
const methods: readonly BalancingMethod[] = ['round-robin', 'random', 'consistent-hash'];

function costRows(): string[] {
  const random = seeded(1);
  const endpoints = Array.from({ length: count }, (_, index) => handle(index));
  for (const { load } of endpoints) {
    observe(load, 5 + 20 * random(), 0);
    if (random() < 0.3) joinLoad(load, 0);
  }
  const asks = Array.from({ length: 1024 }, (_, i) => ({ hash: hashText(`key-${i}`), token: '' }));
  const made = methods.map((method) => {
    const options = { method, loadPercent: 125 };
    const chooser = createChooser(new Roster(endpoints, 0), options, { last: null, ring: null });
    const choose = (i: number, nowMs: number) => chooser.choose(asks[i & 1023]!, [], random, nowMs);
    return [method, choose] as const;
  });
  const least = (_: number, nowMs: number) => chooseEndpoint(endpoints, [], random, nowMs);
  return [['least-request', least] as const, ...made].map(([method, choose]) => {
    for (let i = 0; i < choices / 4; i += 1) choose(i, i / 100);
    const { user: before } = process.cpuUsage();
    for (let i = 0; i < choices; i += 1) {
      const one = choose(i, i / 100)!;
      joinLoad(one.load, i / 100);
      leaveLoad(one.load);
    }
    const ns = ((process.cpuUsage().user - before) * 1000) / choices;
    return row(`one choice of ${count}: ${method}`, `${ns.toFixed(0)} ns`);
  });
}
