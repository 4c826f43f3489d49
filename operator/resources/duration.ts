// Durations as the resources write them: Go's duration strings (time.ParseDuration), to milliseconds.

const unitMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;

/**
 * Milliseconds of `1h30m`, `500ms`, `1.5s`; null where the text is no duration of Go or is negative.
 * Fractions of a millisecond are kept.
 */
export function parseDuration(text: string): number | null {
  const body = text.startsWith('+') ? text.slice(1) : text;
  if (body === '0') return 0;
  let total = 0;
  let end = 0;
  for (const match of body.matchAll(part)) {
    total += Number(match[1]) * unitMs[match[2]!]!;
    end = match.index + match[0].length;
  }
  return end === body.length && end > 0 && Number.isFinite(total) ? total : null;
}

/** What a wrong duration is answered with, for people. */
export function durationHint(text: string): string {
  return `"${text}" is not a duration: write it like 500ms, 10s or 1m30s`;
}
