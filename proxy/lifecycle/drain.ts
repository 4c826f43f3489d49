// Drain: from the first word that the pod goes until nothing is in flight. It decides when; what stops
// accepting, tells peers and counts is handed in.

import type { Clock } from '../net/clock.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface DrainDeps {
  /** Tell peers (GOAWAY), process no stream that comes late. */
  drainInbound(): void;
  /** Nothing new reaches the app any more: what still comes is safe to send elsewhere. */
  refuseInbound(): void;
  /** Tell the operator. */
  announce(): void;
  /**
   * Inbound requests not ended yet. Opaque connections are not waited for: many live as long as their
   * app, which ends them itself on SIGTERM, while this sidecar still carries them.
   */
  inboundInFlight(): number;
  /** Open inbound connections, idle ones among them. */
  inboundConnections(): number;
  /** terminationGracePeriodSeconds. */
  gracePeriodMs: number;
  clock: Clock;
  logger: Logger;
}

export interface Drain {
  started(): boolean;
  /** Begins; a second call changes nothing. */
  start(reason: string): void;
  /** Begins if need be; resolves when drained, or when the grace period is nearly over. */
  finished(reason: string): Promise<void>;
}

/** How often is looked while draining. */
const lookMs = 20;
/** Peers that hold a connection have seen GOAWAY by then and sent what was already on its way. */
const quietMs = 500;
/** Kept back from the grace period for the app's own end. */
const maxReserveMs = 3000;

export function createDrain(deps: DrainDeps): Drain {
  const { clock, logger } = deps;
  let startedAtMs: number | null = null;
  let busyAtMs = 0;
  let done: Promise<void> | null = null;

  function start(reason: string): void {
    if (startedAtMs !== null) return;
    startedAtMs = clock.nowMs();
    busyAtMs = startedAtMs;
    logger.info('drain begins', { reason, inFlight: deps.inboundInFlight() });
    deps.announce();
    deps.drainInbound();
  }

  function isDrained(nowMs: number): boolean {
    if (deps.inboundInFlight() > 0) {
      busyAtMs = nowMs;
      return false;
    }
    return deps.inboundConnections() === 0 || nowMs - busyAtMs >= quietMs;
  }

  function watch(deadlineMs: number, resolve: () => void): void {
    const nowMs = clock.nowMs();
    const drained = isDrained(nowMs);
    if (!drained && nowMs < deadlineMs) {
      clock.after(lookMs, () => watch(deadlineMs, resolve));
      return;
    }
    const fields = { afterMs: Math.round(nowMs - startedAtMs!), inFlight: deps.inboundInFlight() };
    // Before anybody hears of it: once the hook has answered, the app may end at any instant.
    deps.refuseInbound();
    whenRefused(deadlineMs, () => {
      if (drained) logger.info('drained', fields);
      else logger.warn('the grace period is nearly over, not all is drained', fields);
      resolve();
    });
  }

  /** Other threads hear of it a moment later: what they took in meanwhile is waited for. */
  function whenRefused(deadlineMs: number, then: () => void): void {
    if (deps.inboundInFlight() === 0 || clock.nowMs() >= deadlineMs) then();
    else clock.after(lookMs, () => whenRefused(deadlineMs, then));
  }

  return {
    started: () => startedAtMs !== null,
    start,
    finished(reason) {
      start(reason);
      const reserveMs = Math.min(maxReserveMs, deps.gracePeriodMs / 4);
      const deadlineMs = startedAtMs! + deps.gracePeriodMs - reserveMs;
      done ??= new Promise((resolve) => watch(deadlineMs, resolve));
      return done;
    },
  };
}
