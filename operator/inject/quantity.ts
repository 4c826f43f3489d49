// Kubernetes quantities (`100m`, `128Mi`, `1e3`) as numbers. Pure.

const form = /^\+?(\d+(?:\.\d*)?|\.\d+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?$/;
const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimal: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
};

/** The value in its base unit (cores, bytes); null where the text is no positive quantity. */
export function parseQuantity(text: string): number | null {
  const match = form.exec(text);
  if (match === null) return null;
  const suffix = match[2] ?? '';
  const value = Number(match[1]) * factor(suffix);
  return value > 0 && Number.isFinite(value) ? value : null;
}

function factor(suffix: string): number {
  if (suffix === '') return 1;
  const power = binary.indexOf(suffix);
  if (power >= 0) return 1024 ** (power + 1);
  return decimal[suffix] ?? Number(`1${suffix}`);
}

/** True where both say the same amount, however they are written. */
export function sameQuantity(a: string, b: string): boolean {
  return a === b || parseQuantity(a) === parseQuantity(b);
}
