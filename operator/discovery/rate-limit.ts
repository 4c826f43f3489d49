// A token bucket: how often a peer may speak. Pure; time comes in.

export interface RateLimit {
  /** False: too often. */
  take(nowMs: number): boolean;
}

export function createRateLimit(
  rate: { perSecond: number; burst: number },
  startMs: number,
): RateLimit {
  let tokens = rate.burst;
  let last = startMs;
  return {
    take(nowMs) {
      tokens = Math.min(rate.burst, tokens + ((nowMs - last) / 1000) * rate.perSecond);
      last = nowMs;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
