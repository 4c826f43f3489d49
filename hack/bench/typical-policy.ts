// What a typical policy costs in force (two routes, a split, retries, a timeout, ejection) against none: the same bundle
// twice, side by side, in alternating rounds of the same loads.
import { step } from '../lib/steps.ts';
import { grpcLoads } from './peers/grpc-loads.ts';
import { inRounds, startPair, withStage, type Sample, type Target } from './peers/harness.ts';
import type { Load } from './peers/load.ts';
import { requestLoads } from './peers/request-loads.ts';
import { ensureTools, makeBundle, shippedBundle, type Tools } from './peers/tools.ts';
import { tsmesh } from './peers/tsmesh.ts';
import { verifyPair } from './peers/verify.ts';
import { median, row } from './process-figures.ts';

/** One that goes as fast as it can, one at a fixed rate, one of gRPC. */
const chosen = ['get-32', 'rate-16', 'grpc'];
const bound = 1.05;
const without = 'tsmesh';
const withPolicy = 'tsmesh-policy';

export async function benchTypicalPolicy(): Promise<string[]> {
  const rounds = Number(process.env['TSMESH_BENCH_ROUNDS'] ?? 9);
  const tools = await ensureTools();
  await makeBundle();
  const head = ['load', 'CPU per request of the caller’s sidecar, µs: none / policy', 'ratio'];
  const rows = [
    row(...head, 'of both', 'requests/s: none / policy', 'goal', 'met'),
    row('---', '--:', '--:', '--:', '--:', '--:', '---'),
  ];
  for (const load of loadsOf(chosen))
    rows.push(compared(load, await step(load.title, () => measure(tools, load, rounds))));
  return rows;
}

function loadsOf(names: readonly string[]): Load[] {
  const all = [...requestLoads, ...grpcLoads];
  return names.map((name) => {
    const found =
      all.find((load) => load.name === name) ?? all.find((load) => load.name.startsWith(name));
    if (found === undefined) throw new Error(`no load is named ${name}`);
    return found;
  });
}

type Rounds = Readonly<Record<string, readonly Sample[]>>;

async function measure(tools: Tools, load: Load, rounds: number): Promise<Rounds> {
  const { seconds } = load;
  return await withStage(tools, load.lanes, async (stage) => {
    const targets: Target[] = [];
    for (const [label, inForce] of [
      [without, 'no policy'],
      [withPolicy, 'typical policy'],
    ] as const)
      targets.push(await startPair(stage, tsmesh(shippedBundle, label, null, inForce)));
    for (const target of targets) {
      await verifyPair(target);
      await load.warm?.({ stage, target, seconds });
    }
    const entrants = targets.map((target) => ({
      name: target.name,
      measure: () => load.measure({ stage, target, seconds }),
    }));
    return await inRounds(entrants, rounds);
  });
}

/** Ratios are taken round by round: what slows the machine slows both. */
function compared(load: Load, rounds: Rounds): string {
  const none = rounds[without] ?? [];
  const policy = rounds[withPolicy] ?? [];
  const middle = (samples: readonly Sample[], metric: string): number =>
    median(samples.map((one) => one[metric] ?? Number.NaN));
  const ratios = (metric: string): number[] =>
    none.map((one, i) => (policy[i]?.[metric] ?? Number.NaN) / (one[metric] ?? Number.NaN));
  const pair = (metric: string, digits: number): string =>
    [none, policy].map((one) => middle(one, metric).toFixed(digits)).join(' / ');
  const [client, both] = [ratios('client'), ratios('cpu')];
  const spread = `${Math.min(...both).toFixed(2)}–${Math.max(...both).toFixed(2)}`;
  return row(
    load.title,
    pair('client', 1),
    `${median(client).toFixed(3)} ×`,
    `${median(both).toFixed(3)} × (${spread})`,
    pair('perSecond', 0),
    `≤ ${bound} ×`,
    median(both) <= bound ? 'yes' : '**no**',
  );
}
