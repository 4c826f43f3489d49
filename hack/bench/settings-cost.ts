// What settings cost in force against none: the same bundle several times, side by side, in alternating rounds of the
// same loads.
import { step } from '../lib/steps.ts';
import { grpcLoads } from './peers/grpc-loads.ts';
import { inRounds, startPair, withStage, type Sample, type Target } from './peers/harness.ts';
import type { Load } from './peers/load.ts';
import { requestLoads } from './peers/request-loads.ts';
import { ensureTools, makeBundle, shippedBundle, type Tools } from './peers/tools.ts';
import { tsmesh, type InForce } from './peers/tsmesh.ts';
import { verifyPair } from './peers/verify.ts';
import { median, row } from './process-figures.ts';

export interface Variant {
  /** Of the pair, among others on the stage; begins with `tsmesh`. */
  name: string;
  title: string;
  inForce: InForce;
  /** CPU of both sidecars at most, as a share of what they take without it. */
  goal?: number;
}

/** One that goes as fast as it can, one at a fixed rate, one of gRPC. */
const chosen = ['get-32', 'rate-16', 'grpc'];
const without = 'tsmesh';

/** A table, one row for each load and variant. */
export async function benchSettings(variants: readonly Variant[]): Promise<string[]> {
  const rounds = Number(process.env['TSMESH_BENCH_ROUNDS'] ?? 9);
  const tools = await ensureTools();
  await makeBundle();
  const head = ['load', 'with', 'CPU per request of the caller’s sidecar, µs: without / with'];
  const rows = [
    row(...head, 'ratio', 'of both', 'requests/s: without / with', 'goal', 'met'),
    row('---', '---', '--:', '--:', '--:', '--:', '--:', '---'),
  ];
  for (const load of loadsOf(chosen)) {
    const samples = await step(load.title, () => measure({ tools, load, rounds }, variants));
    for (const variant of variants) rows.push(compared(load, samples, variant));
  }
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

async function measure(
  { tools, load, rounds }: { tools: Tools; load: Load; rounds: number },
  variants: readonly Variant[],
): Promise<Rounds> {
  const { seconds } = load;
  return await withStage(tools, load.lanes, async (stage) => {
    const targets: Target[] = [];
    for (const { name, inForce } of [{ name: without, inForce: {} }, ...variants])
      targets.push(await startPair(stage, tsmesh(shippedBundle, name, null, inForce)));
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
function compared(load: Load, rounds: Rounds, { name, title, goal }: Variant): string {
  const none = rounds[without] ?? [];
  const some = rounds[name] ?? [];
  const middle = (samples: readonly Sample[], metric: string): number =>
    median(samples.map((one) => one[metric] ?? Number.NaN));
  const ratios = (metric: string): number[] =>
    none.map((one, i) => (some[i]?.[metric] ?? Number.NaN) / (one[metric] ?? Number.NaN));
  const pair = (metric: string, digits: number): string =>
    [none, some].map((one) => middle(one, metric).toFixed(digits)).join(' / ');
  const [client, both] = [ratios('client'), ratios('cpu')];
  const spread = `${Math.min(...both).toFixed(2)}–${Math.max(...both).toFixed(2)}`;
  const met = goal === undefined ? '' : median(both) <= goal ? 'yes' : '**no**';
  return row(
    load.title,
    title,
    pair('client', 1),
    `${median(client).toFixed(3)} ×`,
    `${median(both).toFixed(3)} × (${spread})`,
    pair('perSecond', 0),
    goal === undefined ? '' : `≤ ${goal} ×`,
    met,
  );
}
