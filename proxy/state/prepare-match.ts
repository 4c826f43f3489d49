// From a match of a contract (routes, rate limits) to what the hot path asks. A value that is wrong throws a ShapeError
// with its place; nothing is decided here.

import type { StringMatch } from '../api/resources.ts';
import { compilePattern } from '../api/pattern.ts';
import { requiredLiterals } from '../policy/literals.ts';
import {
  compilePathPrefix,
  compileString,
  lastOfTwo,
  literalStart,
} from '../policy/string-match.ts';
import type { PreparedMatch, PreparedSource, PreparedString } from './prepared.ts';
import { fail, list, object, pointer, stringItem, text, type JsonObject } from './reader.ts';

export function prepareMatch(value: unknown, path: string): PreparedMatch {
  const from = object(value, path);
  const methods = list(from, 'methods', path, stringItem);
  return {
    ...preparePath(from['path'], pointer(path, 'path')),
    methods: methods.length === 0 ? null : new Set(methods),
    headers: list(from, 'headers', path, prepareNamed),
    query: list(from, 'query', path, prepareNamed),
    source: prepareSource(from['source'], pointer(path, 'source')),
  };
}

function prepareNamed(item: unknown, at: string): PreparedMatch['headers'][number] {
  const one = object(item, at);
  const value = object(one['value'], pointer(at, 'value'));
  const { exact } = value;
  return {
    name: text(one, 'name', at),
    value: prepareString(value, pointer(at, 'value')),
    exact: typeof exact === 'string' ? exact : null,
  };
}

type PathParts = Pick<
  PreparedMatch,
  'path' | 'exactPath' | 'lastOfTwo' | 'start' | 'literals' | 'prefix'
>;

const noPath: PathParts = {
  path: null,
  exactPath: null,
  lastOfTwo: null,
  start: '',
  literals: [],
  prefix: null,
};
/** As the operator writes a gRPC method of any service: need not be run as a regular expression. */
const anyService = /^\/\[\^\/\]\+\/(?<method>\w+)$/;

function preparePath(value: unknown, path: string): PathParts {
  if (value === undefined || value === null) return noPath;
  const from = object(value, path);
  if ('exact' in from) {
    const exact = text(from, 'exact', path);
    return { ...noPath, path: (actual) => actual === exact, exactPath: exact };
  }
  if ('prefix' in from) {
    const prefix = text(from, 'prefix', path);
    if (!prefix.startsWith('/')) fail(pointer(path, 'prefix'), 'must begin with /');
    return { ...noPath, path: compilePathPrefix(prefix), prefix };
  }
  const holds = regex(from, path);
  const source = text(from, 'regex', path);
  const { method } = anyService.exec(source)?.groups ?? {};
  if (method === undefined) {
    const literals = requiredLiterals(source);
    return { ...noPath, path: holds, start: literalStart(source), literals };
  }
  return { ...noPath, path: (actual) => lastOfTwo(actual) === method, lastOfTwo: method };
}

function prepareString(from: JsonObject, path: string): PreparedString {
  if ('regex' in from) regex(from, path);
  else if ('present' in from) {
    if (typeof from['present'] !== 'boolean')
      fail(pointer(path, 'present'), 'must be true or false');
  } else text(from, 'exact' in from ? 'exact' : 'prefix', path);
  return compileString(from as StringMatch);
}

function regex(from: JsonObject, path: string): (text: string) => boolean {
  const source = text(from, 'regex', path);
  try {
    return compilePattern(source);
  } catch (error) {
    return fail(pointer(path, 'regex'), (error as Error).message);
  }
}

/** A source that asks for nothing is anybody. */
function prepareSource(value: unknown, path: string): PreparedSource | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const labels = prepareLabels(from['labels'], pointer(path, 'labels'));
  const namespaces = list(from, 'namespaces', path, stringItem);
  if (labels.size === 0 && namespaces.length === 0) return null;
  return {
    labels: [...labels].map(([name, one]) => ({ name, value: one })),
    namespaces: namespaces.length === 0 ? null : new Set(namespaces),
  };
}

/** Absent: none. */
export function prepareLabels(value: unknown, path: string): ReadonlyMap<string, string> {
  if (value === undefined || value === null) return new Map();
  const from = object(value, path);
  return new Map(Object.keys(from).map((name) => [name, text(from, name, path)]));
}
