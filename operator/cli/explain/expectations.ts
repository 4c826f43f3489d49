// A file of expectations: calls, and what is to come of each. Checked by schema; nothing is judged here.

import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { CliError } from '../errors.ts';
import { readTextFile } from '../files/read.ts';
import type { World } from '../world.ts';
import type { CallSpec } from './question.ts';

export interface Expectation {
  /** The author's, or the call in short. */
  name: string;
  call: CallSpec;
  allowed: boolean;
  /** Who is to decide, as explain names it: `AuthorizationPolicy shop/cart` or with `, rule 0`. */
  by: string | null;
  /** `expectations.yaml: calls[0]`. */
  place: string;
}

interface Entry extends Omit<CallSpec, 'headers'> {
  name?: string;
  headers?: Record<string, string>;
  allowed: boolean;
  by?: string;
}

const text = { type: 'string', minLength: 1 };

const schema = {
  type: 'object',
  required: ['calls'],
  additionalProperties: false,
  properties: {
    calls: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['to', 'allowed'],
        additionalProperties: false,
        properties: {
          name: text,
          from: text,
          to: text,
          method: text,
          path: text,
          host: text,
          headers: { type: 'object', additionalProperties: { type: 'string' } },
          identity: text,
          ip: text,
          tcp: { type: 'boolean' },
          allowed: { type: 'boolean' },
          by: text,
        },
      },
    },
  },
};

/** `others`: what -f names; only one of all can be standard input. Rejects with a CliError. */
export async function readExpectations(
  path: string,
  others: readonly string[],
  world: World,
): Promise<Expectation[]> {
  if (path === '-' && others.includes('-'))
    throw new CliError('Usage', 'expect: -f reads standard input already');
  const source = path === '-' ? await world.readStdin() : readTextFile(path);
  const file = path === '-' ? 'stdin' : path;
  const value = parseYaml(source, file);
  const validate = new Ajv({ allErrors: true, strict: false }).compile<{ calls: Entry[] }>(schema);
  if (!validate(value)) {
    const details = (validate.errors ?? []).map(({ instancePath, message, params }) => {
      const extra = (params as { additionalProperty?: string }).additionalProperty;
      const at = instancePath
        .slice(1)
        .replaceAll(/\/(\d+)/g, '[$1]')
        .replaceAll('/', '.');
      return `${file}: ${at === '' ? 'the file' : at}: ${extra === undefined ? message : `there is no field ${extra}`}`;
    });
    throw new CliError('BadInput', `${file} is no file of expectations`, { details });
  }
  return value.calls.map((entry, index) => expectationOf(entry, `${file}: calls[${index}]`));
}

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    const [what = ''] = (error as Error).message.split('\n');
    throw new CliError('BadInput', `${file}: is no YAML: ${what.replace(/:$/, '')}`);
  }
}

function expectationOf(entry: Entry, place: string): Expectation {
  const { name, allowed, by, headers, ...rest } = entry;
  const fields = Object.entries(headers ?? {}).map(([key, value]) => `${key}=${value}`);
  const call: CallSpec = fields.length === 0 ? rest : { ...rest, headers: fields };
  return { name: name ?? shortOf(call), call, allowed, by: by ?? null, place };
}

function shortOf({ from, identity, to, tcp, method = 'GET', path = '/' }: CallSpec): string {
  const what = tcp === true ? 'tcp' : `${method} ${path}`;
  return `${from ?? identity ?? ''} → ${to} ${what}`;
}

/** What is wrong with a call says where the call stands. */
export function inPlace<T>(place: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    throw new CliError('BadInput', `${place}: ${error.message}`, { hint: error.hint });
  }
}
