// How long to wait before the operator is tried again. Pure; chance comes in as an argument.

const firstMs = 100;
const maxMs = 10_000;

/** After `failures` failed rounds: doubling, with full jitter, so that sidecars do not come in step. */
export function backoffMs(failures: number, random: number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 20));
  return ceiling * (0.1 + 0.9 * random);
}
