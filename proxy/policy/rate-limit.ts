// Token buckets: who may go on now, and when whoever may not can come again. Pure; the time is an argument, in
// milliseconds of any clock that does not go back.

/** `burst` at once, `perSecond` on the long run. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** What rounding of many small steps may be off by. */
const slackMs = 1e-6;
/** So many of the oldest buckets are looked at for one that is full again, when there is no room for a new one. */
const lookedAt = 2;

/**
 * A full bucket at `fullAtMs` or later; before that, tokens are missing as time is missing (GCRA: one number says what a
 * count and the time of its last change would).
 */
interface Bucket {
  fullAtMs: number;
}

/**
 * The buckets of one limit. Whoever has none gets one, full, as long as there are fewer than `maxBuckets`; a bucket that is
 * full again says nothing and makes room. All others share one.
 */
export class RateLimiter {
  private readonly tokenMs: number;
  private readonly depthMs: number;
  private readonly maxBuckets: number;
  private readonly buckets = new Map<string, Bucket>();
  private readonly shared: Bucket = { fullAtMs: Number.NEGATIVE_INFINITY };

  constructor({ perSecond, burst }: Rate, maxBuckets: number) {
    this.tokenMs = 1000 / perSecond;
    this.depthMs = burst * this.tokenMs;
    this.maxBuckets = maxBuckets;
  }

  /** How long until there is a token; 0: now. Takes nothing. */
  waitMs(key: string, nowMs: number): number {
    const bucket = this.buckets.get(key) ?? (this.hasRoom(nowMs) ? null : this.shared);
    if (bucket === null) return 0;
    const owedMs = Math.max(bucket.fullAtMs, nowMs) + this.tokenMs - this.depthMs - nowMs;
    return owedMs <= slackMs ? 0 : owedMs;
  }

  /** Takes a token; there is one. */
  take(key: string, nowMs: number): void {
    const bucket = this.buckets.get(key) ?? this.added(key, nowMs);
    bucket.fullAtMs = Math.max(bucket.fullAtMs, nowMs) + this.tokenMs;
  }

  /** Buckets of their own, for tests of the bound. */
  get size(): number {
    return this.buckets.size;
  }

  private added(key: string, nowMs: number): Bucket {
    if (!this.hasRoom(nowMs)) return this.shared;
    const made: Bucket = { fullAtMs: nowMs };
    this.buckets.set(key, made);
    return made;
  }

  /** Makes some where it costs nobody a token. Those that are not full yet go to the end, so that all are looked at in time. */
  private hasRoom(nowMs: number): boolean {
    const { buckets } = this;
    if (buckets.size < this.maxBuckets) return true;
    for (let looked = 0; looked < lookedAt; looked += 1) {
      const [oldest] = buckets;
      if (oldest === undefined) break;
      const [key, bucket] = oldest;
      buckets.delete(key);
      if (bucket.fullAtMs <= nowMs) return true;
      buckets.set(key, bucket);
    }
    return false;
  }
}

/**
 * What one of `threads` that share the traffic gives of a rate: the same part of the long run, and tokens dealt out, but at
 * least one (a thread that has none would refuse everybody who comes to it).
 */
export function shareOf({ perSecond, burst }: Rate, index: number, threads: number): Rate {
  const dealt = Math.floor(burst / threads) + (index < burst % threads ? 1 : 0);
  return { perSecond: perSecond / threads, burst: Math.max(1, dealt) };
}
