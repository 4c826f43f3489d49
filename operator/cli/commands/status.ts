// `tsmesh status`: every sidecar, and whether it has what the operator wants it to have. Asks and prints.

import type { SidecarsAnswer } from '../../console/api.ts';
import type { SidecarRow, SidecarState } from '../../telemetry/sidecars.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readArguments,
  wantsJson,
  type OptionTable,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { askOperator } from '../console.ts';
import { exitCodes, type ExitCode } from '../errors.ts';
import { spanText } from '../span.ts';
import { styleOf, table, type Paint, type Style } from '../style.ts';
import type { World } from '../world.ts';

const options = {
  problems: { type: 'boolean', help: 'only sidecars that are not as they should be' },
  ...clusterOptions,
  namespace: {
    type: 'string',
    short: 'n',
    value: 'NAME',
    help: 'only of this namespace; all by default',
  },
  ...commonOptions,
} as const satisfies OptionTable;

export const status: Command = {
  name: 'status',
  summary: 'every sidecar: is it connected, up to date, of which version',
  options,
  help: (program) => [
    `${program} status [-n NAMESPACE] [--problems]`,
    '',
    'Asks the operator that leads, by a port-forward to its pod.',
    '',
    ...Object.values(stateHelp).map(({ word, help }) => `  ${word.padEnd(14)}${help}`),
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 all is well, 1 some sidecar is not, 2 bad input, 4 the operator cannot be asked.',
  ],
  async run(args, world) {
    const values = readArguments(args, options);
    const json = wantsJson(values.output);
    const answer = await askOperator<SidecarsAnswer>(values, '/api/sidecars', world);
    const asked = answer.sidecars.filter(
      (row) => values.namespace === undefined || row.namespace === values.namespace,
    );
    const shown = values.problems === true ? asked.filter(isProblem) : asked;
    if (json) world.out(JSON.stringify({ ...answer, sidecars: shown }, null, 2));
    else print({ ...answer, sidecars: shown }, { all: asked, namespace: values.namespace }, world);
    return codeOf(asked);
  },
};

const stateHelp: Record<SidecarState, { word: string; help: string; problem: boolean }> = {
  synced: { word: 'synced', help: 'has all that it is to have in force', problem: false },
  syncing: { word: 'syncing', help: 'something is on its way to it', problem: false },
  starting: { word: 'starting', help: 'not ready yet', problem: false },
  draining: { word: 'draining', help: 'its pod is going', problem: false },
  rejected: {
    word: 'REJECTED',
    help: 'refused a resource and goes on with the one before',
    problem: true,
  },
  disconnected: {
    word: 'DISCONNECTED',
    help: 'runs with what it has, without the operator',
    problem: true,
  },
  none: {
    word: 'NO SIDECAR',
    help: 'runs in a meshed namespace without one (restart it, or it opted out)',
    problem: true,
  },
};

function isProblem({ state }: SidecarRow): boolean {
  return stateHelp[state].problem;
}

function codeOf(rows: readonly SidecarRow[]): ExitCode {
  return rows.some(isProblem) ? exitCodes.mismatch : exitCodes.ok;
}

function print(
  answer: SidecarsAnswer,
  { all, namespace }: { all: readonly SidecarRow[]; namespace: string | undefined },
  world: World,
): void {
  const { operator, atMs, sidecars } = answer;
  const style = styleOf(world.colour);
  if (sidecars.length > 0) {
    const head = ['NAMESPACE', 'POD', 'STATE', 'VERSION', 'CERTIFICATE', 'CONNECTED', 'KNOWS'];
    const rows = sidecars.map((row) => cells(row, operator.version, atMs));
    const [first, ...lines] = table([head, ...rows]);
    world.out(style.bold(first!));
    for (const [i, line] of lines.entries()) world.out(painted(line, sidecars[i]!, style));
    for (const { namespace, pod, rejections } of sidecars)
      for (const one of rejections) world.out(style.red(`${namespace}/${pod} refused ${one}`));
    world.out('');
  }
  const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
  world.out(
    `${summary(all)}${all.length === 0 ? where : ''}; asked operator ${operator.replica}, version ${operator.version}`,
  );
}

function cells(row: SidecarRow, operatorVersion: string, atMs: number): string[] {
  const { certificateEndMs, connectedAtMs, version } = row;
  const skewed =
    version !== '' && version !== operatorVersion ? ` (operator ${operatorVersion})` : '';
  return [
    row.namespace,
    row.pod,
    stateHelp[row.state].word,
    version === '' ? '-' : `${version}${skewed}`,
    certificateEndMs === null ? '-' : spanText(certificateEndMs - atMs),
    connectedAtMs === null ? '-' : spanText(atMs - connectedAtMs),
    version === '' ? '-' : String(row.destinations),
  ];
}

function painted(line: string, row: SidecarRow, style: Style): string {
  let paint: Paint = (text) => text;
  if (isProblem(row)) paint = style.red;
  else if (row.state !== 'synced') paint = style.yellow;
  return paint(line);
}

function summary(rows: readonly SidecarRow[]): string {
  const counts = Map.groupBy(rows, ({ state }) => state);
  const parts = [...counts].map(([state, some]) => `${some.length} ${stateHelp[state].word}`);
  return parts.length === 0 ? 'no sidecars' : parts.join(', ');
}
