// Colour and layout of answers in a terminal. Pure; without colour every function gives its text back.

/** SGR parameters (ECMA-48 §8.3.117). */
const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export type Paint = (text: string) => string;
export type Style = Readonly<Record<keyof typeof codes, Paint>>;

// oxlint-disable-next-line no-control-regex
const colourCode = /(\u001b\[\d+m)/;

export const textWidth = 100;

export function styleOf(colour: boolean): Style {
  const paint =
    (code: number): Paint =>
    (text) =>
      colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    bold: paint(codes.bold),
    dim: paint(codes.dim),
    red: paint(codes.red),
    green: paint(codes.green),
    yellow: paint(codes.yellow),
  };
}

/** Lines of at most `width` characters, broken at spaces; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** At most `width` characters of a line, its colours kept: for screens that would break it. */
export function cut(line: string, width: number): string {
  let left = width;
  return line
    .split(colourCode)
    .map((part, i) => {
      if (i % 2 === 1) return part;
      const shown = part.slice(0, left);
      left -= shown.length;
      return shown;
    })
    .join('');
}

/** The first line behind `head`, further ones below the first, all within `textWidth`. */
export function hanging(head: string, text: string, indent = head.length): string[] {
  const lines = wrap(text, textWidth - Math.max(indent, head.length));
  return lines.map((line, i) => (i === 0 ? head.padEnd(indent) : ' '.repeat(indent)) + line);
}

/** Columns as wide as their widest cell; the last one as it is. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}
