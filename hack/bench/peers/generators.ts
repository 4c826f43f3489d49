// The load generators' outputs, turned into one form. Pure: text in, figures out; a text without what is
// wanted is an error that shows it.

/** What a generator saw. Latencies in milliseconds. */
export interface Seen {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 200, and requests without an answer. */
  readonly failed: number;
}

/** The line that our Lua script prints at the end of wrk. */
export function parseWrk(output: string): Seen {
  const line = /^tsmesh-bench (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk said no figures: ${output.slice(-2000)}`);
  const { requests, microseconds, p50, p99, failed } = JSON.parse(line) as Record<string, number>;
  return {
    requests: requests!,
    requestsPerSecond: (requests! * 1e6) / microseconds!,
    p50Ms: p50! / 1000,
    p99Ms: p99! / 1000,
    failed: failed!,
  };
}

interface FortioOutput {
  readonly ActualQPS: number;
  readonly RetCodes: Readonly<Record<string, number>>;
  readonly DurationHistogram: {
    readonly Count: number;
    readonly Percentiles: readonly { readonly Percentile: number; readonly Value: number }[] | null;
  };
}

/** fortio's JSON; log lines may stand before it. */
export function parseFortio(output: string): Seen {
  const start = output.indexOf('{');
  if (start < 0) throw new Error(`fortio said no figures: ${output.slice(-2000)}`);
  const { ActualQPS, RetCodes, DurationHistogram } = JSON.parse(
    output.slice(start),
  ) as FortioOutput;
  const at = (wanted: number): number => {
    const found = DurationHistogram.Percentiles?.find(({ Percentile }) => Percentile === wanted);
    if (found === undefined) throw new Error(`fortio gave no percentile ${wanted}`);
    return found.Value * 1000;
  };
  const count = DurationHistogram.Count;
  return {
    requests: count,
    requestsPerSecond: ActualQPS,
    p50Ms: at(50),
    p99Ms: at(99),
    failed: count - (RetCodes['200'] ?? 0),
  };
}

export interface H2loadSeen extends Seen {
  /** Bytes of DATA frames, which tell an answer of the app from an error made on the way. */
  readonly dataBytes: number;
}

/** h2load's summary, and its log file with a line per request: start, status, microseconds. */
export function parseH2load(output: string, log: string): H2loadSeen {
  const figure = (pattern: RegExp): number => {
    const found = pattern.exec(output)?.[1];
    if (found === undefined) throw new Error(`h2load said no ${pattern}: ${output.slice(-2000)}`);
    return Number(found);
  };
  const durations: number[] = [];
  let failed = figure(/(\d+) failed,/) + figure(/(\d+) errored,/);
  for (const line of log.split('\n')) {
    if (line === '') continue;
    const [, status, microseconds] = line.split('\t');
    if (status === '200') durations.push(Number(microseconds) / 1000);
    else failed += 1;
  }
  durations.sort((a, b) => a - b);
  const at = (share: number): number =>
    durations[Math.min(durations.length - 1, Math.floor(durations.length * share))] ?? Number.NaN;
  return {
    requests: durations.length,
    requestsPerSecond: figure(/finished in [^,]+, ([\d.]+) req\/s/),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failed,
    dataBytes: figure(/\((\d+)\) data/),
  };
}
