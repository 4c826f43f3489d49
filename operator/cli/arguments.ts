// Command lines: a table of options per command, read with node:util, and the help made of the same table.

import { parseArgs } from 'node:util';
import { CliError } from './errors.ts';
import { hanging } from './style.ts';

export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: true;
  /** Stands for the value in the help. */
  readonly value?: string;
  readonly help: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

export type ValuesOf<T extends OptionTable> = {
  [K in keyof T]?: T[K] extends { multiple: true }
    ? string[]
    : T[K]['type'] extends 'boolean'
      ? boolean
      : string;
};

/** What every command takes. */
export const commonOptions = {
  output: {
    type: 'string',
    short: 'o',
    value: 'text|json',
    help: 'how to answer; text by default',
  },
  'no-color': { type: 'boolean', help: 'no colour, also by NO_COLOR in the environment' },
  help: { type: 'boolean', short: 'h', help: 'this text' },
} as const satisfies OptionTable;

/** What every command takes that reads a cluster. */
export const clusterOptions = {
  namespace: {
    type: 'string',
    short: 'n',
    value: 'NAME',
    help: "namespace of names that say none; the context's by default",
  },
  kubeconfig: { type: 'string', value: 'FILE', help: 'as for kubectl; $KUBECONFIG by default' },
  context: { type: 'string', value: 'NAME', help: 'of the kubeconfig; the current one by default' },
} as const satisfies OptionTable;

/** Throws a CliError of code Usage. */
export function readArguments<T extends OptionTable>(args: string[], table: T): ValuesOf<T> {
  return readWords(args, table, 0).values;
}

/** The same with up to `most` words that are no options, wherever they stand. */
export function readWords<T extends OptionTable>(
  args: string[],
  table: T,
  most: number,
): { values: ValuesOf<T>; words: string[] } {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, { type, short, multiple = false }]) => [
      name,
      short === undefined ? { type, multiple } : { type, short, multiple },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args,
      options,
      strict: true,
      allowPositionals: most > 0,
    });
    if (positionals.length > most)
      throw new CliError('Usage', `unexpected argument '${positionals[most]!}'`);
    return { values: values as ValuesOf<T>, words: positionals };
  } catch (error) {
    if (error instanceof CliError) throw error;
    const [what = ''] = (error as Error).message.split(/\. To specify|\. This command/);
    throw new CliError('Usage', what.charAt(0).toLowerCase() + what.slice(1));
  }
}

export function wantsJson(output: string | undefined): boolean {
  if (output === undefined || output === 'text') return false;
  if (output === 'json') return true;
  throw new CliError('Usage', `-o ${output}: answers are given as text or json`);
}

export function optionHelp(table: OptionTable): string[] {
  const heads = Object.entries(table).map(([name, { short, value }]) => {
    const names = short === undefined ? `    --${name}` : `-${short}, --${name}`;
    return value === undefined ? names : `${names} ${value}`;
  });
  const indent = Math.max(...heads.map((head) => head.length)) + 4;
  return Object.values(table).flatMap(({ help }, i) => hanging(`  ${heads[i]!}`, help, indent));
}
