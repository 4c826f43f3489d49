// The words of an expression in CEL (https://github.com/google/cel-spec, langdef "Syntax"), as far as rules of CRDs
// use them. Pure.

export type Token =
  | { kind: 'name' | 'sign'; text: string; at: number }
  | { kind: 'string'; text: string; at: number }
  | { kind: 'number'; value: number; at: number }
  | { kind: 'end'; text: string; at: number };

const form =
  /\s*(?:(?<number>\d+)|(?<name>[A-Za-z_]\w*)|(?<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<sign>&&|\|\||[<>=!]=|[-+<>!?:.,()[\]]))/y;

/** Throws a SyntaxError for what is not of the subset. */
export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (source.slice(at).trim() !== '') {
    form.lastIndex = at;
    const groups = form.exec(source)?.groups;
    if (groups === undefined) throw new SyntaxError(`CEL: not understood: ${source.slice(at)}`);
    tokens.push(tokenOf(groups, at));
    at = form.lastIndex;
  }
  return [...tokens, { kind: 'end', text: 'the end', at }];
}

function tokenOf(groups: Record<string, string | undefined>, at: number): Token {
  const { number, name, string, sign } = groups;
  if (number !== undefined) return { kind: 'number', value: Number(number), at };
  if (string !== undefined) return { kind: 'string', text: unescape(string.slice(1, -1)), at };
  if (name !== undefined) return { kind: 'name', text: name, at };
  return { kind: 'sign', text: sign!, at };
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v' };

function unescape(text: string): string {
  return text.replaceAll(/\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)/g, (_, escaped: string) =>
    escaped.length > 1
      ? String.fromCodePoint(Number.parseInt(escaped.slice(1), 16))
      : (escapes[escaped] ?? escaped),
  );
}
