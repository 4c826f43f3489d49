// A diff in words for a terminal. Pure.

import { counted } from '../describe/units.ts';
import { hanging, type Style } from '../style.ts';
import type { DiffAnswer } from '../commands/diff.ts';
import type { Effect } from './effects.ts';
import type { ObjectChange } from './plan.ts';

/** Fields of one object, and workloads: so many are listed. */
const mostListed = 20;

export function diffText(answer: DiffAnswer, style: Style): string[] {
  const { objects, effects, statuses, sidecars, notes } = answer;
  const width = Math.max(...objects.map((one) => objectName(one).length), 0) + 2;
  const said = [
    objects.flatMap((one) => objectLines(one, style, width)),
    ...effects.map((one) => effectLines(one, style)),
    statuses.flatMap(({ policy, says, problem }) => {
      const mark = problem ? style.red('!') : style.green('✓');
      return markedLines(mark, `${policy}: ${says}`);
    }),
    sidecarLines(sidecars, style),
    notes.flatMap((note) => hanging('note: ', note)),
  ];
  return said
    .filter((part) => part.length > 0)
    .flatMap((part, i) => (i === 0 ? part : ['', ...part]));
}

function objectName({ kind, namespace, name }: ObjectChange): string {
  return `${kind} ${namespace === '' ? name : `${namespace}/${name}`}`;
}

function objectLines(change: ObjectChange, style: Style, width: number): string[] {
  const { state, fields } = change;
  const paints = {
    new: style.green,
    changed: style.yellow,
    deleted: style.red,
    unchanged: style.dim,
  };
  const head = paints[state](`${objectName(change).padEnd(width)}${state}`);
  const shown = fields.slice(0, mostListed).flatMap((field) => hanging('  ', field));
  const rest = fields.length - mostListed;
  return [head, ...shown, ...(rest > 0 ? [`  and ${rest} fields more`] : [])];
}

function effectLines({ where, pods, gone, comes, others }: Effect, style: Style): string[] {
  const many = pods === 0 ? '' : ` (${counted(pods, 'pod')})`;
  return [
    style.bold(where + many),
    ...gone.flatMap((one) => markedLines('-', one).map(style.red)),
    ...comes.flatMap((one) => markedLines('+', one).map(style.green)),
    ...others.flatMap((one) => markedLines('~', one).map(style.yellow)),
  ];
}

function markedLines(mark: string, text: string): string[] {
  const [first = '', ...rest] = hanging('    ', text);
  return [`  ${mark} ${first.slice(4)}`, ...rest];
}

function sidecarLines(sidecars: DiffAnswer['sidecars'], style: Style): string[] {
  if (sidecars === null) return [];
  const { touched, of } = sidecars;
  const count = touched.reduce((sum, { pods }) => sum + pods.length, 0);
  const shown = touched.slice(0, mostListed).flatMap(({ workload, pods, resources }) => {
    const text = `${workload}, ${counted(pods.length, 'pod')}: ${resources.join(', ')}`;
    const [first = '', ...further] = hanging('    ', text);
    return [first.slice(2), ...further];
  });
  const rest = touched.length - mostListed;
  return [
    style.bold(`${count} of ${counted(of, 'sidecar')} would be sent something else`),
    ...shown,
    ...(rest > 0 ? [`  and ${counted(rest, 'workload')} more`] : []),
  ];
}
