// `tsmesh graph`: who called whom in the last minute, drawn. Asks the operator and prints.

import type { GraphAnswer } from '../../console/api.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readArguments,
  type OptionTable,
} from '../arguments.ts';
import type { Command } from '../command.ts';
import { askOperator } from '../console.ts';
import { CliError, exitCodes } from '../errors.ts';
import { styleOf } from '../style.ts';
import { drawings } from '../traffic/graph.ts';

const formats = ['text', 'dot', 'mermaid', 'json'] as const;

const options = {
  ...clusterOptions,
  namespace: {
    type: 'string',
    short: 'n',
    value: 'NAME',
    help: 'only calls that begin or end there; all by default',
  },
  ...commonOptions,
  output: {
    type: 'string',
    short: 'o',
    value: formats.join('|'),
    help: 'how to draw; text by default',
  },
} as const satisfies OptionTable;

export const graph: Command = {
  name: 'graph',
  summary: 'who calls whom: as text, or for Graphviz or Mermaid',
  options,
  help: (program) => [
    `${program} graph [-n NAMESPACE] [-o ${formats.join('|')}]`,
    '',
    'The last minute, as the sidecars count it: how often, how much of it well, and how fast; what is not in mutual TLS says so.',
    `A drawing: ${program} graph -o dot | dot -Tsvg > mesh.svg; Mermaid is drawn by many pages of Markdown.`,
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 drawn, 2 bad input, 4 the operator cannot be asked.',
  ],
  async run(args, world) {
    const values = readArguments(args, options);
    const format = formats.find((one) => one === (values.output ?? 'text'));
    if (format === undefined)
      throw new CliError('Usage', `-o ${values.output}: drawn is ${formats.join(', ')}`);
    const answer = await askOperator<GraphAnswer>(values, graphPath(values.namespace), world);
    if (format === 'json') world.out(JSON.stringify(answer, null, 2));
    else world.out(drawings[format](answer, styleOf(world.colour)).join('\n'));
    if (answer.omittedEdges > 0) world.err(`${answer.omittedEdges} more calls are not shown`);
    if (format === 'text' && answer.edges.length === 0)
      world.err('nobody called anybody in the last minute');
    return exitCodes.ok;
  },
};

export function graphPath(namespace: string | undefined): string {
  if (namespace === undefined) return '/api/graph';
  return `/api/graph?namespace=${encodeURIComponent(namespace)}`;
}
