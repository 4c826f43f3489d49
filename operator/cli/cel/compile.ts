// From a rule of a CRD in CEL to a function of what it is about. A recursive descent over the grammar of the
// language (https://github.com/google/cel-spec, langdef "Syntax"): what rules of our CRDs use, and a SyntaxError for
// the rest. Pure.

import { functions, methods } from './functions.ts';
import { tokensOf, type Token } from './tokens.ts';

/** Names and their values: `self`, and what all, exists, … bind. */
export type Scope = Readonly<Record<string, unknown>>;
/** Throws an Error where CEL reports one (a field that is not there, a text that is no number). */
export type Expression = (scope: Scope) => unknown;

export function compileCel(source: string): Expression {
  const reader = new Reader(tokensOf(source));
  const expression = ternary(reader);
  reader.expect('the end');
  return expression;
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;
  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  next(): Token {
    return this.#tokens[this.#at++]!;
  }

  /** Takes the token if it is this sign or word. */
  takes(text: string): boolean {
    const token = this.#tokens[this.#at]!;
    if (token.kind === 'string' || token.kind === 'number' || token.text !== text) return false;
    this.#at += 1;
    return true;
  }

  expect(text: string): void {
    if (!this.takes(text)) throw new SyntaxError(`CEL: ${text} is missing`);
  }

  name(): string {
    const token = this.next();
    if (token.kind !== 'name') throw new SyntaxError('CEL: a name is missing');
    return token.text;
  }
}

function ternary(reader: Reader): Expression {
  const condition = or(reader);
  if (!reader.takes('?')) return condition;
  const yes = or(reader);
  reader.expect(':');
  const no = ternary(reader);
  return (scope) => (truth(condition(scope)) ? yes(scope) : no(scope));
}

function or(reader: Reader): Expression {
  return logical(reader, '||', and);
}

function and(reader: Reader): Expression {
  return logical(reader, '&&', relation);
}

/** An error on one side does not matter where the other one decides (langdef "Logical Operators"). */
function logical(
  reader: Reader,
  sign: '||' | '&&',
  operand: (reader: Reader) => Expression,
): Expression {
  const decides = sign === '||';
  let left = operand(reader);
  while (reader.takes(sign)) {
    const [first, second] = [left, operand(reader)];
    left = (scope) => {
      let failure: unknown = null;
      try {
        if (truth(first(scope)) === decides) return decides;
      } catch (error) {
        failure = error ?? new Error('failed');
      }
      if (truth(second(scope)) === decides) return decides;
      if (failure !== null) throw failure;
      return !decides;
    };
  }
  return left;
}

const relations: Readonly<Record<string, (a: never, b: never) => boolean>> = {
  '==': (a, b) => same(a, b),
  '!=': (a, b) => !same(a, b),
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  in: (a, b) => holds(b, a),
};

function relation(reader: Reader): Expression {
  const left = sum(reader);
  const sign = Object.keys(relations).find((one) => reader.takes(one));
  if (sign === undefined) return left;
  const right = sum(reader);
  const compare = relations[sign]!;
  return (scope) => compare(left(scope) as never, right(scope) as never);
}

function sum(reader: Reader): Expression {
  let left = unary(reader);
  for (;;) {
    const minus = reader.takes('-');
    if (!minus && !reader.takes('+')) return left;
    const [first, second] = [left, unary(reader)];
    left = (scope) => {
      const [a, b] = [first(scope) as number, second(scope) as number];
      return minus ? a - b : a + b;
    };
  }
}

function unary(reader: Reader): Expression {
  if (!reader.takes('!')) return member(reader);
  const inner = unary(reader);
  return (scope) => !truth(inner(scope));
}

function member(reader: Reader): Expression {
  let on = primary(reader);
  while (reader.takes('.')) {
    const name = reader.name();
    on = reader.takes('(') ? call(reader, name, on) : field(on, name);
  }
  return on;
}

function field(on: Expression, name: string): Expression {
  return (scope) => {
    const value = fieldOf(on(scope), name);
    if (value === undefined) throw new ReferenceError(`no such key: ${name}`);
    return value;
  };
}

function fieldOf(value: unknown, name: string): unknown {
  const isMap = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isMap ? (value as Record<string, unknown>)[name] : undefined;
}

function call(reader: Reader, name: string, on: Expression): Expression {
  const macro = macros[name];
  if (macro !== undefined) {
    const bound = reader.name();
    reader.expect(',');
    const predicate = ternary(reader);
    reader.expect(')');
    return (scope) =>
      macro(entriesOf(on(scope)), (one) => truth(predicate({ ...scope, [bound]: one })));
  }
  const method = methods[name];
  if (method === undefined) throw new SyntaxError(`CEL: ${name} is not known`);
  const args = listUntil(reader, ')');
  return (scope) => method(on(scope), ...args.map((arg) => arg(scope)));
}

type Macro = (list: unknown[], predicate: (one: unknown) => boolean) => unknown;

const macros: Readonly<Record<string, Macro>> = {
  all: (list, predicate) => list.every(predicate),
  exists: (list, predicate) => list.some(predicate),
  exists_one: (list, predicate) => list.filter(predicate).length === 1,
  filter: (list, predicate) => list.filter(predicate),
};

function primary(reader: Reader): Expression {
  const token = reader.next();
  if (token.kind === 'number') return () => token.value;
  if (token.kind === 'string') return () => token.text;
  if (token.kind === 'name') return named(reader, token.text);
  if (token.text === '(') {
    const inner = ternary(reader);
    reader.expect(')');
    return inner;
  }
  if (token.text !== '[') throw new SyntaxError(`CEL: ${token.text} was not expected`);
  const items = listUntil(reader, ']');
  return (scope) => items.map((item) => item(scope));
}

function named(reader: Reader, name: string): Expression {
  if (name === 'true' || name === 'false') return () => name === 'true';
  if (!reader.takes('(')) {
    return (scope) => {
      if (!Object.hasOwn(scope, name)) throw new ReferenceError(`no such name: ${name}`);
      return scope[name];
    };
  }
  if (name === 'has') return has(reader);
  const called = functions[name];
  if (called === undefined) throw new SyntaxError(`CEL: ${name} is not known`);
  const args = listUntil(reader, ')');
  return (scope) => called(...args.map((arg) => arg(scope)));
}

/** `has(self.a.b)`: whether the last one is there; the others have to be. */
function has(reader: Reader): Expression {
  let on = primary(reader);
  reader.expect('.');
  let name = reader.name();
  while (reader.takes('.')) {
    on = field(on, name);
    name = reader.name();
  }
  reader.expect(')');
  return (scope) => fieldOf(on(scope), name) !== undefined;
}

function listUntil(reader: Reader, end: string): Expression[] {
  const items: Expression[] = [];
  if (reader.takes(end)) return items;
  do items.push(ternary(reader));
  while (reader.takes(','));
  reader.expect(end);
  return items;
}

function truth(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError('neither true nor false');
  return value;
}

/** Of a map its keys. */
function entriesOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value === 'object' && value !== null) return Object.keys(value);
  throw new TypeError('neither a list nor a map');
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}

function holds(list: unknown, value: unknown): boolean {
  return entriesOf(list).some((one) => same(one, value));
}
