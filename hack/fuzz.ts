// npm run fuzz: runs the fuzz targets of test/fuzz in turn, for so many minutes, and says which seed makes each find.
// The runs are a thread's, so that one that never ends is noticed and named too.
import { parseArgs } from 'node:util';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { runOnce } from '../test/fuzz/target.ts';
import { targets } from '../test/fuzz/targets.ts';

const usage = `node hack/fuzz.ts [--minutes N] [--seed S] [--runs N] [--only TARGET[,TARGET]]
  --minutes  how long (default 1), unless --runs says how many runs of each target
  --seed     where the seeds begin (default: the time); each run has the next one
  --only     ${targets.map(({ name }) => name).join(', ')}`;

interface Plan {
  seed: number;
  minutes: number;
  runs: number;
  only: string[];
  /** Which target runs at the moment, and from which seed, for the watch. */
  progress: SharedArrayBuffer;
}

/** A find in each of so many seeds says nothing new. */
const MOST_FINDS = 10;
const SLICE_MS = 1000;
const SMALL_SLICE_MS = 50;
const HANG_MS = 60_000;

function planOf(args: string[]): Plan | null {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string' },
      runs: { type: 'string', default: '0' },
      only: { type: 'string' },
    },
  });
  const only = values.only?.split(',') ?? targets.map(({ name }) => name);
  const seed = Number(values.seed ?? Date.now() % 1e9);
  const [minutes, runs] = [Number(values.minutes), Number(values.runs)];
  const known = only.every((name) => targets.some((target) => target.name === name));
  if (!known || ![seed, minutes, runs].every((n) => Number.isFinite(n) && n >= 0)) return null;
  return { seed, minutes, runs, only, progress: new SharedArrayBuffer(8) };
}

/** One target for a while; returns how many runs it had. */
function slice(
  index: number,
  seed: number,
  plan: Plan,
  most: number,
): { runs: number; found: string[] } {
  const target = targets[index]!;
  const now = new Int32Array(plan.progress);
  const found: string[] = [];
  const endMs = performance.now() + (target.small === true ? SMALL_SLICE_MS : SLICE_MS);
  let runs = 0;
  while (runs < most && (plan.runs > 0 || performance.now() < endMs)) {
    Atomics.store(now, 0, index);
    Atomics.store(now, 1, seed + runs);
    const find = runOnce(target, seed + runs);
    runs++;
    if (find !== null) found.push(find.stack ?? find.message);
    if (found.length >= MOST_FINDS) break;
  }
  return { runs, found };
}

function work(plan: Plan): void {
  const chosen = targets.flatMap(({ name }, index) => (plan.only.includes(name) ? [index] : []));
  const totals = new Map(chosen.map((index) => [index, { runs: 0, finds: 0 }]));
  const endMs = performance.now() + plan.minutes * 60_000;
  for (let round = 0; plan.runs > 0 ? round === 0 : performance.now() < endMs; round++) {
    for (const index of chosen) {
      const total = totals.get(index)!;
      if (total.finds >= MOST_FINDS) continue;
      const most = plan.runs > 0 ? plan.runs : Infinity;
      const { runs, found } = slice(index, plan.seed + total.runs, plan, most);
      total.runs += runs;
      total.finds += found.length;
      for (const find of found) parentPort!.postMessage(`FIND ${find}`);
    }
  }
  let finds = 0;
  for (const [index, total] of totals) {
    finds += total.finds;
    const { name } = targets[index]!;
    parentPort!.postMessage(`${name.padEnd(20)} ${total.runs} runs, ${total.finds} finds`);
  }
  parentPort!.postMessage({ finds });
}

function memoryMb(): number {
  return Math.round(process.memoryUsage().rss / 1048576);
}

function watch(plan: Plan): void {
  console.log(`seed ${plan.seed}, ${plan.runs > 0 ? `${plan.runs} runs` : `${plan.minutes} min`}`);
  const worker = new Worker(new URL(import.meta.url), { workerData: plan });
  const now = new Int32Array(plan.progress);
  let last = '';
  const timer = setInterval(() => {
    const at = `${targets[Atomics.load(now, 0)]!.name}, seed ${Atomics.load(now, 1)}`;
    if (at === last) {
      console.log(`FIND ${at}: does not end`);
      process.exitCode = 1;
      clearInterval(timer);
      void worker.terminate();
    }
    last = at;
    console.log(`at ${at}; memory ${memoryMb()} MB`);
  }, HANG_MS);
  worker.on('message', (message: string | { finds: number }) => {
    if (typeof message === 'string') return console.log(message);
    console.log(`${message.finds} finds; memory ${memoryMb()} MB`);
    if (message.finds > 0) process.exitCode = 1;
  });
  worker.on('error', (error) => {
    console.log('FIND the thread ended', error);
    process.exitCode = 1;
  });
  worker.on('exit', () => clearInterval(timer));
}

if (!isMainThread) work(workerData as Plan);
else {
  const plan = planOf(process.argv.slice(2));
  if (plan === null) {
    console.error(usage);
    process.exitCode = 2;
  } else watch(plan);
}
