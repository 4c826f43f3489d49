// Events on behalf of admission reviews, at a bounded rate: whoever reaches the webhook's port can write
// reviews, and each may speak of other objects in other words.

import type { EventRecorder } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { Logger } from '../resources/logger.ts';

/** A rollout of a hundred workloads that are all refused is told in full. */
const rate = { perSecond: 5, burst: 100 };

export function limitEvents(
  events: EventRecorder,
  deps: { clock: Pick<Clock, 'nowMs'>; log: Pick<Logger, 'warn'> },
): EventRecorder {
  let tokens: number = rate.burst;
  let lastMs = deps.clock.nowMs();
  return {
    event(target, type, reason, message) {
      const nowMs = deps.clock.nowMs();
      const before = tokens;
      tokens = Math.min(rate.burst, tokens + ((nowMs - lastMs) / 1000) * rate.perSecond);
      lastMs = nowMs;
      if (tokens >= 1) {
        tokens -= 1;
        events.event(target, type, reason, message);
      } else if (before >= 0) {
        // Once until there is room again.
        deps.log.warn('webhook: too many Events; not written', { reason, message });
        tokens = -1;
      }
    },
  };
}
