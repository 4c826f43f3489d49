// A token bucket: how often a peer may speak. Pure; time comes in.

export interface RateLimit {
  /** False: too often, or more at once than the burst. */
  take(nowMs: number, cost?: number): boolean;
}

export function createRateLimit(
  rate: { perSecond: number; burst: number },
  startMs: number,
): RateLimit {
  let tokens = rate.burst;
  let last = startMs;
  return {
    take(nowMs, cost = 1) {
      tokens = Math.min(rate.burst, tokens + ((nowMs - last) / 1000) * rate.perSecond);
      last = nowMs;
      if (tokens < cost) return false;
      tokens -= cost;
      return true;
    },
  };
}

/** One limit for each key, the same for as long as it is among the ones used last. */
export function createRateLimits(
  rate: { perSecond: number; burst: number },
  maxKeys: number,
): (key: string, nowMs: number) => RateLimit {
  const limits = new Map<string, RateLimit>();
  return (key, nowMs) => {
    const limit = limits.get(key) ?? createRateLimit(rate, nowMs);
    limits.delete(key);
    limits.set(key, limit);
    if (limits.size > maxKeys) limits.delete(limits.keys().next().value!);
    return limit;
  };
}
