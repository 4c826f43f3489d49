// How much a regular expression costs its matcher, from its text alone: compiling one that repeats much takes long itself, so
// that asking the compiled one would be too late. Pure, linear in the text.

/** Of one expression: far above what names, paths and ids need. */
export const maxPatternSteps = 1000;

/** RE2 refuses to repeat more often. */
const maxRepeats = 1000;
const repetition = /\{(\d+)(,(\d*))?\}/y;
const namedClass = /\\(?:[pP]\{[^}]*\}|[pP].|x\{[^}]*\}|.)/suy;
const groupHead = /\((?:\?(?:P?<[^>]*>|[a-zA-Z-]*:)?)?/y;
const quoted = /\\Q(.*?)(?:\\E|$)/suy;
const bracket = /\[\^?\]?(?:\[:[^\]]*:\]|\\.|[^\]\\])*\]?/suy;

interface Group {
  steps: number;
  /** Steps of what a repetition would repeat. */
  last: number;
}

/**
 * Roughly the instructions that it is compiled to: one for each character, class and operator, repeated ones as often as they
 * may come. Says nothing of whether it is an expression at all.
 */
export function patternSteps(regex: string): number {
  const open: Group[] = [{ steps: 0, last: 0 }];
  let at = 0;
  const read = (token: RegExp): RegExpExecArray | null => {
    token.lastIndex = at;
    const found = token.exec(regex);
    if (found !== null) at = token.lastIndex;
    return found;
  };
  const add = (steps: number): void => {
    const group = open.at(-1)!;
    group.steps += steps;
    group.last = steps;
  };
  while (at < regex.length) {
    const character = regex[at]!;
    if (character === '\\') {
      const literal = read(quoted);
      if (literal !== null) add(literal[1]!.length);
      else if (read(namedClass) !== null) add(1);
      else at += 1;
    } else if (character === '[') {
      read(bracket);
      add(1);
    } else if (character === '(') {
      read(groupHead);
      open.push({ steps: 0, last: 0 });
    } else if (character === ')' && open.length > 1) {
      at += 1;
      add(open.pop()!.steps + 1);
    } else if (character === '{') {
      const times = timesOf(read(repetition));
      const group = open.at(-1)!;
      if (times === null) {
        at += 1;
        add(1);
        continue;
      }
      group.steps += group.last * (times - 1);
      group.last *= times;
    } else {
      at += 1;
      const isOperator = '*+?|'.includes(character);
      if (isOperator) open.at(-1)!.steps += 1;
      else add(1);
    }
  }
  return open.reduce((sum, { steps }) => sum + steps, 0);
}

/** Null: it is no repetition, and the brace is a character. */
function timesOf(found: RegExpExecArray | null): number | null {
  if (found === null) return null;
  const [, least = '', , most = ''] = found;
  const times = Math.max(Number(least), Number(most), 1);
  // It is refused for that by the compiler, which says so.
  return times > maxRepeats ? 1 : times;
}
