// The Huffman code of HPACK (RFC 7541 §5.2, Appendix B). The code is canonical, so its lengths are enough to build
// both directions. Strings are latin1; bytes come and go through buffers of the caller.

/** Code length in bits of each octet and, last, of EOS (RFC 7541 Appendix B). */
const LENGTHS: readonly number[] = `
  13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
  28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
  6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6
  5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
  13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7
  7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
  15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5
  6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
  20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
  24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
  22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
  21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
  26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
  19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
  20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
  26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
  30`
  .trim()
  .split(/\s+/)
  .map(Number);
const EOS = 256;

/** Canonical: shorter codes first, equal lengths in the order of the symbols, each one more than the last. */
function buildCodes(): Uint32Array {
  const codes = new Uint32Array(LENGTHS.length);
  let code = 0;
  for (let length = 5; length <= 30; length++) {
    for (let symbol = 0; symbol < LENGTHS.length; symbol++) {
      if (LENGTHS[symbol] === length) codes[symbol] = code++;
    }
    code *= 2;
  }
  return codes;
}

const CODES = buildCodes();

/**
 * One step of the decoder per 4 bits: DECODE[state * 16 + nibble] is `next << 10 | accepting << 9 | emits << 8 | symbol`;
 * no code is shorter than 5 bits, so a nibble never emits two.
 */
const EMITS = 0x100;
const ACCEPTING = 0x200;
const NEXT_SHIFT = 10;
const FAIL = -1;

interface Node {
  readonly state: number;
  /** Whether the path to it could be padding: at most 7 bits, all ones (RFC 7541 §5.2). */
  readonly accepting: boolean;
  readonly children: [Node | number | null, Node | number | null];
}

function buildTree(): Node[] {
  const nodes: Node[] = [];
  const make = (depth: number, ones: boolean): Node => {
    const node: Node = {
      state: nodes.length,
      accepting: ones && depth < 8,
      children: [null, null],
    };
    nodes.push(node);
    return node;
  };
  const root = make(0, true);
  for (let symbol = 0; symbol < LENGTHS.length; symbol++) {
    let node = root;
    let ones = true;
    for (let bit = LENGTHS[symbol]! - 1; bit > 0; bit--) {
      const side = (CODES[symbol]! >>> bit) & 1;
      ones &&= side === 1;
      const depth = LENGTHS[symbol]! - bit;
      node = (node.children[side] ??= make(depth, ones)) as Node;
    }
    node.children[CODES[symbol]! & 1] = symbol;
  }
  return nodes;
}

function buildDecoder(): Int32Array {
  const nodes = buildTree();
  const table = new Int32Array(nodes.length * 16);
  for (const node of nodes) {
    for (let nibble = 0; nibble < 16; nibble++)
      table[node.state * 16 + nibble] = walk(nodes, node, nibble);
  }
  return table;
}

function walk(nodes: Node[], from: Node, nibble: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = node.children[((nibble >> bit) & 1) as 0 | 1];
    if (child === null || child === EOS) return FAIL;
    if (typeof child === 'number') {
      emitted = EMITS | child;
      node = nodes[0]!;
    } else node = child;
  }
  return (node.state << NEXT_SHIFT) | (node.accepting ? ACCEPTING : 0) | emitted;
}

const DECODE = buildDecoder();

/**
 * Decodes the codes `text[from, to)` (one byte per character) into `into`, which must hold twice as many bytes.
 * Returns the length, or -1 for EOS, or padding that is too long or not ones.
 */
export function huffmanDecode(text: string, from: number, to: number, into: Buffer): number {
  let state = 0;
  let length = 0;
  let step = ACCEPTING;
  for (let i = from; i < to; i++) {
    const byte = text.charCodeAt(i);
    step = DECODE[state * 16 + (byte >> 4)]!;
    if (step < 0) return -1;
    if ((step & EMITS) !== 0) into[length++] = step & 0xff;
    step = DECODE[(step >> NEXT_SHIFT) * 16 + (byte & 15)]!;
    if (step < 0) return -1;
    if ((step & EMITS) !== 0) into[length++] = step & 0xff;
    state = step >> NEXT_SHIFT;
  }
  return (step & ACCEPTING) === 0 ? -1 : length;
}

export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i)]!;
  return (bits + 7) >> 3;
}

/** Writes the codes of `text` (latin1) at `at`; returns where they end. */
export function huffmanEncode(text: string, into: Buffer, at: number): number {
  let out = at;
  /** Fewer than 8 bits wait here between two characters. */
  let waiting = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    let left = LENGTHS[symbol]!;
    const code = CODES[symbol]!;
    while (left > 0) {
      const take = Math.min(left, 8 - count);
      left -= take;
      waiting = (waiting << take) | ((code >>> left) & ((1 << take) - 1));
      count += take;
      if (count === 8) {
        into[out++] = waiting;
        waiting = 0;
        count = 0;
      }
    }
  }
  // Padding is the beginning of EOS, all ones.
  if (count > 0) into[out++] = (waiting << (8 - count)) | (0xff >> count);
  return out;
}
