// Lengths of time as people read them, like kubectl's ages. Pure.

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** `3d4h`, `23h`, `5m10s`, `12s`; `ended` for what is over. Two units below ten of the first. */
export function spanText(ms: number): string {
  if (ms < 0) return 'ended';
  const at = units.findIndex(([, size]) => ms >= size);
  if (at < 0) return '0s';
  const [unit, size] = units[at]!;
  const count = Math.floor(ms / size);
  const next = units[at + 1];
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1]);
  return count < 10 && next !== undefined && rest > 0
    ? `${count}${unit}${rest}${next[0]}`
    : `${count}${unit}`;
}
