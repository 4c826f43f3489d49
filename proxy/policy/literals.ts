// Texts that stand in everything a regular expression matches, read off its source, and which of many such texts stand in
// a path, found in one pass over it (Aho and Corasick). So most expressions need not be run. Pure.

/** Escapes that stand for themselves: of letters and digits every one means something else. */
const escaped = /^[!-/:-@[-^`{-~]$/;
const plain = /^[\w/\-~!@#%&=:;,"'<> `]$/;
const repetition = /\{\d+(?:,\d*)?\}/y;

/**
 * Every text that the expression matches in full holds all of these; it may hold more. Empty where its source says
 * something that is not followed here (alternatives, flags, escapes by number), never a text too much.
 */
export function requiredLiterals(regex: string): string[] {
  const found: string[] = [];
  let run = '';
  const end = (): void => {
    if (run !== '') found.push(run);
    run = '';
  };
  for (let at = 0; at < regex.length; at += 1) {
    const one = regex[at]!;
    if (plain.test(one)) run += one;
    else if (one === '\\') {
      at += 1;
      const next = regex[at] ?? '';
      if (escaped.test(next)) run += next;
      else if ('dDwWsSbB'.includes(next)) end();
      else return [];
    } else if ('*+?{'.includes(one)) {
      // What may stand there never, or more often, is not part of the text.
      run = run.slice(0, -1);
      end();
      if (one !== '{') continue;
      repetition.lastIndex = at;
      if (!repetition.test(regex)) return [];
      at = repetition.lastIndex - 1;
    } else {
      if (one === '|') return [];
      end();
      if (one === '[') at = classEnd(regex, at);
      else if (one === '(') at = groupEnd(regex, at);
      if (at < 0) return [];
    }
  }
  end();
  return found;
}

/** Where a class ends that begins here; -1: it is not followed. */
function classEnd(regex: string, begin: number): number {
  let at = begin + 1;
  if (regex[at] === '^') at += 1;
  // As the first it is one of the class.
  if (regex[at] === ']') at += 1;
  for (; at < regex.length; at += 1) {
    if (regex[at] === '\\') {
      at += 1;
      if ('Qx'.includes(regex[at] ?? 'Q')) return -1;
    } else if (regex[at] === '[') {
      // [:alpha:]
      const close = regex.startsWith('[:', at) ? regex.indexOf(':]', at + 2) : -1;
      if (close >= 0) at = close + 1;
    } else if (regex[at] === ']') return at;
  }
  return -1;
}

/** Where a group ends that begins here; -1: it is not followed, such as flags that hold for what comes behind it. */
function groupEnd(regex: string, begin: number): number {
  if (regex[begin + 1] === '?' && !':P<'.includes(regex[begin + 2] ?? '(')) return -1;
  for (let at = begin + 1; at < regex.length; at += 1) {
    const one = regex[at];
    if (one === ')') return at;
    if (one === '\\') {
      at += 1;
      if (regex[at] === 'Q') return -1;
    } else if (one === '[') at = classEnd(regex, at);
    else if (one === '(') at = groupEnd(regex, at);
    if (at < 0) return -1;
  }
  return -1;
}

/** Of each list the text that fewest others have, of those the longest; it is not empty. */
export function tellingLiterals(lists: readonly (readonly string[])[]): string[] {
  const counts = new Map<string, number>();
  for (const list of lists)
    for (const one of new Set(list)) counts.set(one, (counts.get(one) ?? 0) + 1);
  const better = (a: string, b: string): boolean =>
    counts.get(a) === counts.get(b) ? a.length > b.length : counts.get(a)! < counts.get(b)!;
  return lists.map((list) => list.reduce((best, one) => (better(one, best) ? one : best)));
}

/** Cells of the table (4 bytes each): some 1,000 long texts of all kinds of characters. */
const mostCells = 1 << 20;

/** Finds which texts of a list stand in another text, in time linear to that. */
export class LiteralIndex {
  /** Of each character below 128 its column; 0: in none of the texts. */
  private readonly columns = new Uint8Array(128);
  private readonly width: number;
  /** State and column to state. */
  private readonly next: Int32Array;
  /** Of each state the texts that end there, by their place in the list. */
  private readonly ends: readonly (readonly number[])[];
  /** Of each state the next shorter one at which texts end; 0: none. */
  private readonly shorter: Int32Array;
  /** Bits of what was found: read and cleared by who asks, before the next search. */
  readonly found: Uint32Array;

  constructor(texts: readonly string[]) {
    let columns = 1;
    let states = 1;
    for (const text of texts) {
      states += text.length;
      for (let i = 0; i < text.length; i += 1) this.columns[text.charCodeAt(i)] ||= columns++;
    }
    this.width = columns;
    this.next = new Int32Array(states * columns);
    this.shorter = new Int32Array(states);
    this.found = new Uint32Array((texts.length + 31) >> 5);
    this.ends = this.plant(texts);
    this.link();
  }

  /** Whether the table for them is small enough to be made. */
  static canHold(texts: readonly string[]): boolean {
    let chars = 1;
    for (const { length } of texts) chars += length;
    return chars * (new Set(texts.join('')).size + 1) <= mostCells;
  }

  private plant(texts: readonly string[]): number[][] {
    const ends: number[][] = [[]];
    for (const [index, text] of texts.entries()) {
      let state = 0;
      for (let i = 0; i < text.length; i += 1) {
        const cell = state * this.width + this.columns[text.charCodeAt(i)]!;
        if (this.next[cell] === 0) this.next[cell] = ends.push([]) - 1;
        state = this.next[cell]!;
      }
      ends[state]!.push(index);
    }
    return ends;
  }

  /** By breadth: where a text goes on otherwise, its longest end that begins another text goes on. */
  private link(): void {
    const { next, width, ends, shorter } = this;
    const fallback = new Int32Array(ends.length);
    const queue = [0];
    for (let head = 0; head < queue.length; head += 1) {
      const state = queue[head]!;
      for (let column = 1; column < width; column += 1) {
        const cell = state * width + column;
        const back = state === 0 ? 0 : next[fallback[state]! * width + column]!;
        const to = next[cell]!;
        if (to === 0) {
          next[cell] = back;
          continue;
        }
        fallback[to] = back;
        shorter[to] = ends[back]!.length > 0 ? back : shorter[back]!;
        queue.push(to);
      }
    }
  }

  /** Sets the bit of each text that stands in this one. */
  search(text: string): void {
    const { next, width, columns, ends, shorter, found } = this;
    let state = 0;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      state = code < 128 ? next[state * width + columns[code]!]! : 0;
      for (let at = state; at !== 0; at = shorter[at]!) {
        const list = ends[at]!;
        for (let k = 0; k < list.length; k += 1) found[list[k]! >> 5]! |= 1 << (list[k]! & 31);
      }
    }
  }
}
