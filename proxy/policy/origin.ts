// Which origins of browsers a policy allows: exact ones, and those with one `*` in them. Compiled once per
// configuration; pure.

/** What may stand for `*`: labels of a host, with or without a port; never what ends a host. */
const wild = /^[a-z0-9._:[\]-]+$/i;

/** `allowed` in any case; browsers send origins in lower case. `*` alone allows any. */
export function compileOrigins(allowed: readonly string[]): (origin: string) => boolean {
  if (allowed.includes('*')) return () => true;
  const exact = new Set<string>();
  const patterns: { start: string; end: string }[] = [];
  for (const one of allowed.map((text) => text.toLowerCase())) {
    const star = one.indexOf('*');
    if (star < 0) exact.add(one);
    else patterns.push({ start: one.slice(0, star), end: one.slice(star + 1) });
  }
  if (patterns.length === 0) return (origin) => exact.has(origin);
  return (origin) => exact.has(origin) || patterns.some((one) => fits(one, origin));
}

function fits({ start, end }: { start: string; end: string }, origin: string): boolean {
  if (!origin.startsWith(start) || !origin.endsWith(end)) return false;
  return wild.test(origin.slice(start.length, origin.length - end.length));
}
