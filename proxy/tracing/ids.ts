// Random ids of traces and spans, and whether a trace is sampled. Random bytes come in as an argument.

export type RandomBytes = (count: number) => Buffer;

/** Bytes fetched at a time: one call of the kernel's generator serves some hundred ids. */
const poolBytes = 4096;

export interface TraceIds {
  traceId(): string;
  spanId(): string;
}

/** No id (W3C Trace Context §3.2.2.3). */
const zeros = '0'.repeat(32);

export function createTraceIds(randomBytes: RandomBytes): TraceIds {
  let pool: Buffer = Buffer.alloc(0);
  let at = 0;
  const take = (count: number): string => {
    if (at + count > pool.length) {
      pool = randomBytes(poolBytes);
      at = 0;
    }
    at += count;
    const id = pool.toString('hex', at - count, at);
    return zeros.startsWith(id) ? take(count) : id;
  };
  return { traceId: () => take(16), spanId: () => take(8) };
}

/** The same for everyone who asks of a trace: its last 56 bits are random (W3C Trace Context Level 2, random-trace-id). */
export function isSampled(traceId: string, percent: number): boolean {
  if (percent >= 100) return true;
  if (percent <= 0) return false;
  // 52 bits: as many as a number holds exactly.
  return Number.parseInt(traceId.slice(-13), 16) < (percent / 100) * 2 ** 52;
}
