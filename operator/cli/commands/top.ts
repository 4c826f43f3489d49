// `tsmesh top`: rate, success and times of workloads, or of who calls whom, again and again on a terminal. Asks and prints.

import type { GraphAnswer } from '../../console/api.ts';
import type { UserClient } from '../../kube/user-client.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readWords,
  wantsJson,
  type OptionTable,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { askLeader } from '../console.ts';
import { CliError, exitCodes } from '../errors.ts';
import { connect } from '../live.ts';
import { cut, styleOf } from '../style.ts';
import { isNamed, only } from '../traffic/figures.ts';
import { edgeLines, nodeLines, sortings, type Sorting } from '../traffic/tables.ts';
import type { World } from '../world.ts';
import { graphPath } from './graph.ts';

const options = {
  edges: {
    type: 'boolean',
    help: 'a row for each who calls whom; so are the rows below a workload',
  },
  sort: { type: 'string', value: 'rps|success|p99', help: 'what comes first; rps by default' },
  once: { type: 'boolean', help: 'one table, also on a terminal' },
  ...clusterOptions,
  namespace: {
    type: 'string',
    short: 'n',
    value: 'NAME',
    help: 'only what is in it, or calls or is called from it; all by default',
  },
  ...commonOptions,
} as const satisfies OptionTable;

const refreshMs = 2_000;

interface Asked {
  what: string | null;
  namespace: string | undefined;
  edges: boolean;
  sort: Sorting;
}

export const top: Command = {
  name: 'top',
  summary: 'rate, success and times of workloads, live',
  options,
  help: (program) => [
    `${program} top [NAMESPACE | WORKLOAD | NAMESPACE/WORKLOAD] [--edges] [--once]`,
    '',
    'Of the last minute, as the sidecars that were called count it; of a workload also who calls it and whom it calls. On a terminal',
    'it goes on until Ctrl-C, elsewhere it answers once.',
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 answered, 2 bad input, 4 the operator cannot be asked.',
  ],
  async run(args, world) {
    const { values, words } = readWords(args, options, 1);
    const named = words[0] ?? null;
    const json = wantsJson(values.output);
    const sort = values.sort ?? 'rps';
    if (!(sort in sortings))
      throw new CliError('Usage', `sort: ${sort} is none of ${Object.keys(sortings).join(', ')}`);
    const { namespace, edges = false } = values;
    const asked: Asked = { what: named, namespace, edges, sort: sort as Sorting };
    const client = connect(values, world);
    try {
      const answer = await ask(client, asked);
      if (json) world.out(JSON.stringify({ ...answer, ...only(asked.what, answer) }, null, 2));
      else if (world.terminal === null || values.once === true)
        world.out(linesOf(answer, asked, world).join('\n'));
      else await goOn(client, { first: answer, asked }, world);
      return exitCodes.ok;
    } finally {
      client.close();
    }
  },
};

async function ask(client: UserClient, { namespace, what }: Asked): Promise<GraphAnswer> {
  const answer = await askLeader<GraphAnswer>(client, graphPath(namespace));
  if (what === null || answer.nodes.some(({ workload }) => isNamed(what, workload))) return answer;
  const names = [...new Set(answer.nodes.map(({ workload }) => workload.namespace))];
  const there = names.filter((name) => name !== '').slice(0, 8);
  const hint =
    there.length === 0 ? 'no workload is in the mesh' : `namespaces: ${there.join(', ')}`;
  throw new CliError('NotFound', `no namespace or workload of the mesh is named ${what}`, { hint });
}

function linesOf(answer: GraphAnswer, asked: Asked, world: World): string[] {
  const { what, edges: wantsEdges, sort } = asked;
  const style = styleOf(world.colour);
  const { nodes, edges } = only(what, answer);
  const isWorkload = what !== null && nodes.every(({ workload }) => workload.namespace !== what);
  const tables = [
    ...(wantsEdges ? [] : [nodeLines(nodes, sort, style)]),
    ...(wantsEdges || isWorkload ? [edgeLines(edges, sort, style)] : []),
  ];
  const rest = answer.omittedEdges > 0 ? [`${answer.omittedEdges} more calls are not shown`] : [];
  return [...tables.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])), ...rest];
}

/** Until the process is ended. An operator that is away for a moment leaves the last table standing. */
async function goOn(
  client: UserClient,
  { first, asked }: { first: GraphAnswer; asked: Asked },
  world: World,
): Promise<never> {
  let answer = first;
  let problem = '';
  for (;;) {
    draw([...linesOf(answer, asked, world), ...(problem === '' ? [] : ['', problem])], world);
    await new Promise<void>((resolve) => {
      world.clock.after(refreshMs, resolve);
    });
    try {
      answer = await ask(client, asked);
      problem = '';
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      problem = `no answer: ${error.message}`;
    }
  }
}

/** From the upper left corner, the rest of the screen cleared (ECMA-48 CUP and ED). */
function draw(lines: readonly string[], world: World): void {
  const { terminal } = world;
  const rows = Math.max(2, terminal!.rows() - 1);
  const fitting =
    lines.length <= rows
      ? lines
      : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more`];
  const shown = fitting.map((line) => cut(line, terminal!.columns()));
  world.out(`\u001b[H\u001b[J${shown.join('\n')}`);
}
