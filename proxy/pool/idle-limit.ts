// How long a server of HTTP/1.1 keeps a connection that nothing moves on, as far as it is known, and until when such a
// connection may be used: a request that crosses the server's close on its way may have been read or not, and nobody can
// tell. Pure; times are arguments.

/**
 * No connection that nothing moves on is kept longer (FACTS §6.3): shorter than most servers' own time, so that they
 * seldom end one in use.
 */
export const longestIdleMs = 3_000;
/** When a connection becomes idle is seen a little late, and not twice in the same place. */
export const idleSlackMs = 50;
/** Of what is known only half is used: requests take time to arrive, and event loops are late. */
const safeShare = 0.5;
/** Long ones need no more distance than this. */
const mostMarginMs = 1_000;
/** What a request takes to its server at least; who closes as fast as that is sent one request per connection. */
const arrivalMs = 2;

/** What was seen counts for this long, and at most as long again. */
const spanMs = 300_000;

export class IdleLimit {
  /** An idle connection may be used for so long; negative: not at all. */
  safeMs = Number.POSITIVE_INFINITY;
  /** The least of this span and of the one before: a busy machine sees ends late, but none sees them early. */
  private leastMs = Number.POSITIVE_INFINITY;
  private leastBeforeMs = Number.POSITIVE_INFINITY;
  private spanEndsMs = 0;

  /** The server says it (`Keep-Alive: timeout=5`). What was seen counts more, where it is less. */
  heard(timeoutMs: number, nowMs: number): void {
    this.ended(timeoutMs, nowMs);
  }

  /** It ended a connection that had been idle for so long. */
  ended(idleMs: number, nowMs: number): void {
    if (nowMs >= this.spanEndsMs) {
      this.leastBeforeMs = this.leastMs;
      this.leastMs = idleMs;
      this.spanEndsMs = nowMs + spanMs;
    } else if (idleMs < this.leastMs) this.leastMs = idleMs;
    this.decide();
  }

  /** One was idle for as long as any is ever kept here: what made it look otherwise is over (a restart, a crash). */
  outlasted(): void {
    this.leastMs = Number.POSITIVE_INFINITY;
    this.leastBeforeMs = Number.POSITIVE_INFINITY;
    this.decide();
  }

  private decide(): void {
    const idleMs = Math.min(this.leastMs, this.leastBeforeMs);
    this.safeMs = Math.max(idleMs * safeShare, idleMs - mostMarginMs) - arrivalMs;
  }
}

/** RFC 2068 §19.7.1.1, as servers still write it: `timeout=5, max=100`; null where it says no time. */
export function keepAliveTimeoutMs(value: string): number | null {
  const found = /(?:^|[\s,;])timeout\s*=\s*"?(\d{1,6})(?:"|\s|,|;|$)/i.exec(value);
  return found === null ? null : Number(found[1]) * 1_000;
}
