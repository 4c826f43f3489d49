// Which endpoints are left out for a while because they answered badly, and when they are tried again. Pure but
// for the figures of the endpoints it is given.

import type { EndpointHandle, EndpointLoad, PreparedOutlier } from '../state/prepared.ts';

/** Of one endpoint; it has none until it answered badly under a policy that asks. */
export interface EndpointHealth {
  /** In a row, of any kind: statuses from 500 on, and no answer at all. */
  serverErrors: number;
  /** In a row: 502, 503, 504, and no answer at all. */
  gatewayErrors: number;
  /** 0: in use. From this time on one request may find out whether it is well again. */
  outUntilMs: number;
  /** In a row: each lasts twice as long as the one before. */
  ejections: number;
  /** Such a request is under way. */
  probing: boolean;
}

export type Result = 'good' | 'server-error' | 'gateway-error';

/** gRPC codes by what HTTP says for them (as Envoy maps them): UNAVAILABLE, DEADLINE_EXCEEDED; UNKNOWN, INTERNAL, DATA_LOSS. */
const grpcGatewayErrors: ReadonlySet<number> = new Set([14, 4]);
const grpcServerErrors: ReadonlySet<number> = new Set([2, 13, 15]);
/** More often an ejection does not double: 2^10 times the base is above any maximum. */
const mostDoublings = 10;

export function resultOf(status: number, grpcStatus: number): Result {
  if (grpcGatewayErrors.has(grpcStatus) || (status >= 502 && status <= 504)) return 'gateway-error';
  return grpcServerErrors.has(grpcStatus) || status >= 500 ? 'server-error' : 'good';
}

/** Not to be chosen: it goes, or it was ejected, and nobody may try it yet, or somebody does already. */
export function isOut({ health, leavesUntilMs }: EndpointLoad, nowMs: number): boolean {
  if (nowMs < leavesUntilMs) return true;
  return (
    health !== null && health.outUntilMs !== 0 && (nowMs < health.outUntilMs || health.probing)
  );
}

/** The next request to it finds out whether it is well again: it is worth more than a better endpoint. */
export function isDue({ health }: EndpointLoad, nowMs: number): boolean {
  return (
    health !== null && health.outUntilMs !== 0 && nowMs >= health.outUntilMs && !health.probing
  );
}

/** True: this request is the one that finds out. Its end without a result is told by `endProbe`. */
export function beginProbe(load: EndpointLoad, nowMs: number): boolean {
  if (!isDue(load, nowMs) || load.health === null) return false;
  load.health.probing = true;
  return true;
}

export function endProbe({ health }: EndpointLoad): void {
  if (health !== null) health.probing = false;
}

/**
 * Takes in how an endpoint answered; true if that ejects it. `endpoints` are those that it was chosen from: of
 * them at most `maxEjectionPercent` are out at a time (but one may always be), and never all.
 */
export function recordResult(
  endpoint: EndpointHandle,
  result: Result,
  { policy, endpoints }: { policy: PreparedOutlier; endpoints: readonly EndpointHandle[] },
  nowMs: number,
): boolean {
  const { load } = endpoint;
  if (result === 'good') {
    recordGood(load, nowMs);
    return false;
  }
  const health = (load.health ??= newHealth());
  if (health.outUntilMs !== 0) {
    // Requests from before the ejection say nothing new; one that was let through does.
    if (nowMs < health.outUntilMs) return false;
    return eject(health, policy, nowMs);
  }
  health.serverErrors += 1;
  health.gatewayErrors = result === 'gateway-error' ? health.gatewayErrors + 1 : 0;
  if (!isEnough(health, policy) || !mayEject(endpoints, policy)) return false;
  return eject(health, policy, nowMs);
}

function recordGood(load: EndpointLoad, nowMs: number): void {
  const { health } = load;
  if (health === null || nowMs < health.outUntilMs) return;
  // What it cost while it was bad is not what it costs now.
  if (health.outUntilMs !== 0) load.ewmaMs = 0;
  load.health = null;
}

function newHealth(): EndpointHealth {
  return { serverErrors: 0, gatewayErrors: 0, outUntilMs: 0, ejections: 0, probing: false };
}

function isEnough(health: EndpointHealth, policy: PreparedOutlier): boolean {
  const { consecutive5xx, consecutiveGatewayErrors } = policy;
  return (
    (consecutive5xx > 0 && health.serverErrors >= consecutive5xx) ||
    (consecutiveGatewayErrors > 0 && health.gatewayErrors >= consecutiveGatewayErrors)
  );
}

function mayEject(endpoints: readonly EndpointHandle[], policy: PreparedOutlier): boolean {
  const count = endpoints.length;
  let out = 0;
  for (const { load } of endpoints)
    if (load.health !== null && load.health.outUntilMs !== 0) out += 1;
  const most = Math.max(1, Math.floor((count * policy.maxEjectionPercent) / 100));
  return out < Math.min(most, count - 1);
}

function eject(health: EndpointHealth, policy: PreparedOutlier, nowMs: number): boolean {
  const doubled = policy.baseEjectionMs * 2 ** Math.min(health.ejections, mostDoublings);
  health.outUntilMs = nowMs + Math.min(doubled, policy.maxEjectionMs);
  health.ejections += 1;
  health.probing = false;
  return true;
}
