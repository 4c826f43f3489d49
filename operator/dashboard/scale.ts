// The scales of charts: round numbers at the axis, and lines through what was measured. Pure.

/** From 0 to at least `highest`, in two to five round steps: [0, 20, 40, 60]. */
export function ticksUpTo(highest: number): number[] {
  if (!(highest > 0) || !Number.isFinite(highest)) return [0, 1];
  const size = 10 ** Math.floor(Math.log10(highest / 4));
  const step = [1, 2, 2.5, 5, 10]
    .map((one) => one * size)
    .find((one) => one * 4 >= highest - 1e-12)!;
  const count = Math.ceil(highest / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => Number((at * step).toPrecision(12)));
}

/**
 * The path of an SVG line through the values; null leaves a gap. The first value is at x 0, the last at `width`;
 * 0 is at `height`, `top` is at y 0.
 */
export function linePath(
  values: readonly (number | null)[],
  { width, height, top }: { width: number; height: number; top: number },
): string {
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  let path = '';
  let isGap = true;
  values.forEach((value, at) => {
    if (value === null) {
      isGap = true;
      return;
    }
    const y = height - (Math.min(value, top) / top) * height;
    // A lone value between gaps is drawn as a dot: a line of no length with round ends.
    const alone = isGap && (values[at + 1] ?? null) === null ? 'h0' : '';
    path += `${isGap ? 'M' : 'L'}${round(at * step)} ${round(y)}${alone}`;
    isGap = false;
  });
  return path;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
