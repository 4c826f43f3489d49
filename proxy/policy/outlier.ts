// Which endpoints are left out for a while because of how they answered, and when they are tried again. Pure but for the
// figures of the endpoints it is given. How endpoints are compared with each other is outlier-compare.ts.

import type { EndpointHandle, EndpointLoad, PreparedOutlier } from '../state/prepared.ts';

/** Why one was left out; `probe-failed`: it was out, and is not well yet. */
export const ejectionReasons = [
  'consecutive-5xx',
  'consecutive-gateway-errors',
  'success-rate',
  'latency',
  'probe-failed',
] as const;
export type EjectionReason = (typeof ejectionReasons)[number];

/** Of one endpoint; it has none until it answered badly under a policy that asks. */
export interface EndpointHealth {
  /** In a row, of any kind: statuses from 500 on, and no answer at all. */
  serverErrors: number;
  /** In a row: 502, 503, 504, and no answer at all. */
  gatewayErrors: number;
  /** 0: in use. From this time on one request may find out whether it is well again. */
  outUntilMs: number;
  /** When it was left out first, of all times in a row. */
  outSinceMs: number;
  /** In a row: each lasts twice as long as the one before. */
  ejections: number;
  /** Such a request is under way. */
  probing: boolean;
  /** Too few are left: it is used all the same (panic threshold). */
  ignored: boolean;
  /** It was too slow: well again is only who answers within this time. 0: any good answer will do. */
  slowFromMs: number;
}

export type Result = 'good' | 'server-error' | 'gateway-error';

/** What an answer changed. */
export type Judgement = EjectionReason | 'returned' | null;

/** What an endpoint is judged by and among. */
export interface Among {
  policy: PreparedOutlier;
  endpoints: readonly EndpointHandle[];
}

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
    health !== null &&
    health.outUntilMs !== 0 &&
    !health.ignored &&
    (nowMs < health.outUntilMs || health.probing)
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
 * Takes in how an endpoint answered, and after which time, where that is known. Of the endpoints that it was chosen from at
 * most `maxEjectionPercent` are out at a time (but one may always be), and never all.
 */
export function recordResult(
  endpoint: EndpointHandle,
  result: Result,
  among: Among & { latencyMs?: number },
  nowMs: number,
): Judgement {
  const { load } = endpoint;
  if (result === 'good') return recordGood(load, among, nowMs);
  const { policy, endpoints } = among;
  const health = (load.health ??= newHealth());
  if (health.outUntilMs !== 0) {
    // Requests from before the ejection say nothing new; one that was let through does.
    if (nowMs < health.outUntilMs) return null;
    eject(health, among, nowMs);
    return 'probe-failed';
  }
  health.serverErrors += 1;
  health.gatewayErrors = result === 'gateway-error' ? health.gatewayErrors + 1 : 0;
  const reason = reasonOf(health, policy);
  if (reason === null || !mayEject(endpoints, policy)) return null;
  eject(health, among, nowMs);
  return reason;
}

/**
 * Takes in that an endpoint was asked where no policy judges. Whom a policy left out that is gone since, or that of another
 * destination of the same pods, is in use again once it is due: nobody else would end that, and it would get each request.
 */
export function recordUnjudged(load: EndpointLoad, nowMs: number): void {
  if (load.health === null || load.health.outUntilMs === 0) return;
  if (nowMs >= load.health.outUntilMs) load.health = null;
}

/** For what a comparison found; false: too many are out already. `slowFromMs`: see EndpointHealth. */
export function ejectCompared(
  { load }: EndpointHandle,
  slowFromMs: number,
  among: Among,
  nowMs: number,
): boolean {
  if (!mayEject(among.endpoints, among.policy)) return false;
  const health = (load.health ??= newHealth());
  if (load.figures !== null) {
    health.ejections = load.figures.ejections;
    load.figures.ejections += 1;
  }
  health.slowFromMs = slowFromMs;
  eject(health, among, nowMs);
  return true;
}

/** In use, for whoever compares: one that is out is not heard. */
export function isInUse({ health }: EndpointLoad): boolean {
  return health === null || health.outUntilMs === 0;
}

/** Are too few in use, all are used; said anew whenever one goes or comes. */
export function updatePanic({ policy, endpoints }: Among): void {
  const { panicThresholdPercent } = policy;
  if (panicThresholdPercent === 0) return;
  const inUse = endpoints.length - countOut(endpoints);
  const panic = inUse * 100 < panicThresholdPercent * endpoints.length;
  for (const { load } of endpoints) if (load.health !== null) load.health.ignored = panic;
}

function recordGood(
  load: EndpointLoad,
  among: Among & { latencyMs?: number },
  nowMs: number,
): Judgement {
  const { health } = load;
  if (health === null || nowMs < health.outUntilMs) return null;
  if (health.outUntilMs === 0) {
    load.health = null;
    if (reasonOf(health, among.policy) !== null) beginAnew(among.endpoints, nowMs);
    return null;
  }
  if (health.slowFromMs > 0 && (among.latencyMs ?? 0) >= health.slowFromMs) {
    eject(health, among, nowMs);
    return 'probe-failed';
  }
  // What it cost while it was bad is not what it costs now.
  load.ewmaMs = 0;
  load.failures = 0;
  load.health = null;
  updatePanic(among);
  return 'returned';
}

/**
 * One answers well that was bad enough to be left out but for the bounds: what ailed all of them may be over. Those that
 * are out need not wait for the end of times that doubled meanwhile: each has one request to show it. And how all of
 * them failed, and how slowly, says nothing of which is better now: otherwise the first to be well would get everything for a while.
 */
function beginAnew(endpoints: readonly EndpointHandle[], nowMs: number): void {
  for (const { load } of endpoints) {
    const { health } = load;
    load.failures = 0;
    load.ewmaMs = 0;
    if (health !== null && health.outUntilMs > nowMs) health.outUntilMs = nowMs;
  }
}

function newHealth(): EndpointHealth {
  return {
    serverErrors: 0,
    gatewayErrors: 0,
    outUntilMs: 0,
    outSinceMs: 0,
    ejections: 0,
    probing: false,
    ignored: false,
    slowFromMs: 0,
  };
}

function reasonOf(health: EndpointHealth, policy: PreparedOutlier): EjectionReason | null {
  const { consecutive5xx, consecutiveGatewayErrors: gateway } = policy;
  if (gateway > 0 && health.gatewayErrors >= gateway) return 'consecutive-gateway-errors';
  return consecutive5xx > 0 && health.serverErrors >= consecutive5xx ? 'consecutive-5xx' : null;
}

function countOut(endpoints: readonly EndpointHandle[]): number {
  let out = 0;
  for (const { load } of endpoints) if (!isInUse(load)) out += 1;
  return out;
}

function mayEject(endpoints: readonly EndpointHandle[], policy: PreparedOutlier): boolean {
  const count = endpoints.length;
  const most = Math.max(1, Math.floor((count * policy.maxEjectionPercent) / 100));
  return countOut(endpoints) < Math.min(most, count - 1);
}

function eject(health: EndpointHealth, among: Among, nowMs: number): void {
  const { policy } = among;
  const doubled = policy.baseEjectionMs * 2 ** Math.min(health.ejections, mostDoublings);
  if (health.outUntilMs === 0) health.outSinceMs = nowMs;
  health.outUntilMs = nowMs + Math.min(doubled, policy.maxEjectionMs);
  health.ejections += 1;
  health.probing = false;
  updatePanic(among);
}
