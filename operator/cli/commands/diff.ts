// `tsmesh diff`: what a file would change in a cluster, before it is applied. Reads, asks diff/, prints; changes nothing.

import type { HoldingsAnswer } from '../../console/api.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readArguments,
  wantsJson,
  type OptionTable,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { askLeader } from '../console.ts';
import { effectsOf, type Effect } from '../diff/effects.ts';
import { planOf, type ObjectChange, type Plan } from '../diff/plan.ts';
import { diffText } from '../diff/print.ts';
import { touchedBy, type TouchedSidecars } from '../diff/touched.ts';
import { statusChanges, type StatusChange } from '../diff/verdicts.ts';
import { CliError, exitCodes, type ExitCode } from '../errors.ts';
import { readManifests } from '../gather.ts';
import { openCluster, type OpenCluster } from '../live.ts';
import type { FileObject } from '../objects.ts';
import { styleOf } from '../style.ts';
import type { World } from '../world.ts';

const options = {
  file: {
    type: 'string',
    short: 'f',
    multiple: true,
    value: 'PATH',
    help: 'a manifest, a folder of manifests, or - for standard input; several times: several',
  },
  delete: { type: 'boolean', help: 'what deleting them would change, instead of applying them' },
  ...clusterOptions,
  ...commonOptions,
} as const satisfies OptionTable;

/** `-o json`. */
export interface DiffAnswer {
  objects: ObjectChange[];
  effects: Effect[];
  /** Of policies that the operator would not take as they are, or takes again. */
  statuses: StatusChange[];
  /** Null: the operator could not be asked who holds what. */
  sidecars: TouchedSidecars | null;
  notes: string[];
}

export const diff: Command = {
  name: 'diff',
  summary: 'what a file would change, and which sidecars it would touch',
  options,
  help: (program) => [
    `${program} diff -f PATH [-f PATH]... [--delete]`,
    '',
    'Checks the files as `kubectl apply` and the operator would, lays them over the cluster, and translates both as the operator',
    'does: which objects change, what of routes, destinations and of who may call changes by that, which policies would lose against',
    'others or not be taken, and which sidecars would be sent something. What the files do not name stays: an apply deletes nothing.',
    'Deployments and their like are taken as rolled out.',
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 nothing changes, 1 something does, 2 bad input, 4 the cluster cannot be reached or read.',
  ],
  async run(args, world) {
    const values = readArguments(args, options);
    const json = wantsJson(values.output);
    if (values.file === undefined) throw new CliError('Usage', 'file: is missing; say -f PATH');
    const cluster = openCluster(values, world);
    try {
      const namespace = values.namespace ?? cluster.namespace;
      const files = await readManifests(values.file, namespace, world);
      const answer = await answerOf(cluster, { ...files, remove: values.delete === true }, world);
      if (json) world.out(JSON.stringify(answer, null, 2));
      else world.out(diffText(answer, styleOf(world.colour)).join('\n'));
      return codeOf(answer);
    } finally {
      cluster.close();
    }
  },
};

function codeOf({ objects }: DiffAnswer): ExitCode {
  return objects.some(({ state }) => state !== 'unchanged') ? exitCodes.mismatch : exitCodes.ok;
}

interface Asked {
  objects: readonly FileObject[];
  ignored: readonly string[];
  remove: boolean;
}

async function answerOf(
  cluster: OpenCluster,
  { objects: files, ignored, remove }: Asked,
  world: World,
): Promise<DiffAnswer> {
  if (files.length === 0)
    throw new CliError('BadInput', `the files hold nothing that the mesh decides by${of(ignored)}`);
  const named = files.map(({ kind, object: { metadata } }) =>
    kind === 'Namespace' ? metadata.name : (metadata.namespace ?? ''),
  );
  const namespaces = [...new Set(named.filter((name) => name !== ''))].toSorted();
  const { objects: live, notes } = await cluster.readAll(namespaces);
  const plan = planOf(files, live, { clock: world.clock, remove });
  const { sidecars, note } = await sidecarsOf(cluster, plan);
  return {
    objects: plan.objects,
    effects: effectsOf(plan.before, plan.after),
    statuses: statusChanges(plan.before, plan.after),
    sidecars,
    notes: [
      ...notes,
      ...plan.notes,
      ...note,
      ...(ignored.length === 0
        ? []
        : [`not looked at, as the mesh does not decide by them${of(ignored)}`]),
    ],
  };
}

function of(ignored: readonly string[]): string {
  return ignored.length === 0 ? '' : `: ${ignored.join(', ')}`;
}

async function sidecarsOf(
  { client }: OpenCluster,
  { before, after }: Plan,
): Promise<{ sidecars: TouchedSidecars | null; note: string[] }> {
  try {
    const { sidecars } = await askLeader<HoldingsAnswer>(client, '/api/holdings');
    return { sidecars: touchedBy(before, after, sidecars), note: [] };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { sidecars: null, note: [`which sidecars hold what is not known: ${error.message}`] };
  }
}
