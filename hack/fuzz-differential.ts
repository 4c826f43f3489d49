// node hack/fuzz-differential.ts: generated odd requests through HAProxy, nginx, Envoy and our sidecars. Prints each that
// two of them cut differently and we took, and each that all others take alike and we do not.
import { parseArgs } from 'node:util';
import { others, ours, startProxies } from '../test/conformance/differential-peers.ts';
import { runRequests, type RequestResult } from '../test/conformance/differential-run.ts';
import type { OddRequest } from '../test/conformance/differential-requests.ts';
import {
  dispute,
  firstDifference,
  refused,
  whole,
  words,
} from '../test/conformance/differential-verdict.ts';
import { oddRequest } from '../test/fuzz/h1-grammar.ts';
import { Random } from '../test/fuzz/random.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '500' },
    /** Those that we alone refuse are many: bare LF and the like. */
    refusals: { type: 'boolean', default: false },
  },
});

/** The number of the case goes into a field, where the first line is one. */
function made(seed: number): OddRequest {
  const text = oddRequest(new Random(seed));
  const raw = text.replace(/^(\S+ \S+ HTTP\/1\.[01]\r\n)/m, '$1X-Case: ID\r\n');
  return { group: 'seed', name: String(seed), raw };
}

function verdict({ outcomes }: RequestResult): string | null {
  const at = dispute(outcomes);
  if (at >= 0) {
    const taken = ours.some((name) => whole(outcomes[name]) > at);
    return taken ? 'DISPUTED AND TAKEN' : null;
  }
  const alike = others.every((name) => !refused(outcomes[name]));
  const differs = ours.some(
    (name) => refused(outcomes[name]) || firstDifference(outcomes[name], outcomes['haproxy']) >= 0,
  );
  return alike && differs && values.refusals ? 'ONLY WE REFUSE' : null;
}

const [first, count] = [Number(values.seed), Math.min(Number(values.cases), 4500)];
const cases = Array.from({ length: count }, (_, i) => made(first + i)).filter(({ raw }) =>
  raw.includes('X-Case'),
);
const proxies = await startProxies();
let [finds, disputed, forwarded] = [0, 0, 0];
try {
  for (const [i, result] of (await runRequests(proxies, cases)).entries()) {
    if (dispute(result.outcomes) >= 0) disputed++;
    if (ours.some((name) => whole(result.outcomes[name]) > 0)) forwarded++;
    const what = verdict(result);
    if (what === null) continue;
    finds++;
    console.log(`${what} ${result.name} ${JSON.stringify(cases[i]!.raw)}`);
    for (const [name, outcome] of Object.entries(result.outcomes)) {
      console.log(`  ${name.padEnd(13)} ${words(outcome)}`);
    }
  }
} finally {
  await proxies.close();
}
console.log(
  `${cases.length} requests, ${forwarded} forwarded, ${disputed} disputed, ${finds} finds`,
);
process.exitCode = finds > 0 ? 1 : 0;
