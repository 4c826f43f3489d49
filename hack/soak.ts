// `node hack/soak.ts --minutes N [--rate R]`: the soak of test/soak against the shipped bundle, with a line
// for each minute and a verdict. It ends with 1 where anything was lost, mixed up, or grew.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { quarters, soak, type Sample, type SoakResult, type Use } from '../test/soak/soak.ts';
import type { Ledger } from '../test/soak/ledger.ts';
import { row } from './bench/process-figures.ts';
import { bundle } from './images/bundle.ts';
import { repository } from './lib/paths.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, rate: { type: 'string' } },
});
const minutes = Number(values.minutes ?? 20);
const rate = Number(values.rate ?? 1);
if (!(minutes > 0) || !(rate > 0)) {
  console.error('usage: node hack/soak.ts --minutes N [--rate R]');
  process.exit(1);
}

/** More than the noise of a garbage collected heap; a leak of 100 bytes per request shows in 20 minutes. */
const tolerance = 0.1;
const toleranceMb = 4;
const tolerableFiles = 12;

function reporter(): (sample: Sample, ledger: Ledger) => void {
  let minute = 0;
  return (sample, ledger) => {
    if (sample.atMs < minute * 60_000) return;
    minute += 1;
    const problems = [...ledger.problems.values()].reduce((sum, count) => sum + count, 0);
    const seconds = (sample.atMs / 1000).toFixed(0);
    console.log(
      row(`${seconds} s`, ledger.total(), problems, words(sample.caller), words(sample.callee)),
    );
  };
}

function words({ rssMb, privateMb, heapMb, openFiles }: Use): string {
  return `${rssMb.toFixed(0)} / ${privateMb.toFixed(0)} / ${heapMb.toFixed(1)} MB, ${openFiles} files`;
}

/** Everything that is not as it should be. */
function faults({ ledger, samples, before, after }: SoakResult): string[] {
  const found = [...ledger.problems].map(([kind, count]) => `${kind}: ${count} problems`);
  for (const side of ['caller', 'callee'] as const) {
    for (const field of ['rssMb', 'privateMb', 'heapMb'] as const) {
      const [second, last] = quarters(samples, (sample) => sample[side][field]);
      const grew = last - second;
      const line = `${side} ${field}: ${second.toFixed(1)} in the second quarter, ${last.toFixed(1)} in the last`;
      console.log(line);
      if (grew > toleranceMb && grew > second * tolerance) found.push(`grew: ${line}`);
    }
    const left = after[side].openFiles - before[side].openFiles;
    console.log(`${side}: ${left} files more open than before the load`);
    if (left > tolerableFiles) found.push(`${side}: ${left} files are still open`);
  }
  return found;
}

await bundle('proxy/main.ts', 'proxy');
const program = join(repository, 'dist/proxy/main.mjs');
console.log(row('at', 'done', 'problems', 'caller: RSS / private / heap', 'callee'));
const result = await soak({
  durationMs: minutes * 60_000,
  rate,
  renewEveryMs: 30_000,
  sampleEveryMs: 5_000,
  program,
  onSample: reporter(),
});
const { ledger, cpuSeconds } = result;
console.log(Object.fromEntries(ledger.done));
const share = (seconds: number): string => `${((100 * seconds) / (minutes * 60)).toFixed(1)} %`;
console.log(
  `CPU: caller ${share(cpuSeconds.caller)}, callee ${share(cpuSeconds.callee)} of a core`,
);
const found = faults(result);
for (const line of [...ledger.words, ...found]) console.error(line);
console.log(found.length === 0 ? 'nothing lost, nothing mixed up, nothing grew' : 'FAILED');
process.exit(found.length === 0 ? 0 : 1);
