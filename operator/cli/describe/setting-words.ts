// How a destination is called whatever the route, in words: balancing, limits, which endpoints are left out. Pure.

import type {
  Balancing,
  DestinationResource,
  OutlierDetection,
} from '../../../proxy/api/resources.ts';
import { msWords } from './units.ts';

/** How a destination is called, whatever the route; empty where everything is by default. */
export function settingWords(destination: DestinationResource): string[] {
  const { balancing, limits, outlierDetection, connectTimeoutMs, tcpIdleTimeoutMs } = destination;
  const { traceSampling } = destination;
  const bounds = [
    [limits?.maxConnections, 'connections'],
    [limits?.maxActiveRequests, 'requests at a time'],
    [limits?.maxPendingRequests, 'requests waiting'],
  ] as const;
  return [
    ...(balancing === undefined ? [] : balancingWords(balancing)),
    ...bounds.flatMap(([most, what]) => (most == null ? [] : [`at most ${most} ${what}`])),
    ...(outlierDetection === undefined ? [] : outlierWords(outlierDetection)),
    ...(connectTimeoutMs === undefined ? [] : [`connects within ${msWords(connectTimeoutMs)}`]),
    ...(tcpIdleTimeoutMs === undefined ? [] : [`TCP idle at most ${msWords(tcpIdleTimeoutMs)}`]),
    ...(traceSampling === undefined
      ? []
      : [`traced: ${traceSampling} % of the traces that begin with a call of it`]),
  ];
}

function balancingWords({ method, hash, slowStartMs, affinity, zones }: Balancing): string[] {
  return [
    hash === undefined ? `balanced by ${method}` : hashWords(method, hash),
    ...(slowStartMs === undefined
      ? []
      : [`new endpoints begin slowly, over ${msWords(slowStartMs)}`]),
    ...(affinity === undefined
      ? []
      : [`callers keep their endpoint by ${cookieWords(affinity.cookie, affinity)}`]),
    ...(zones === undefined ? [] : ['endpoints of the own zone first']),
  ];
}

/** Beyond this, a bound on the load of one endpoint is none. */
const boundedPercent = 10_000;

function hashWords(method: string, { by, loadPercent }: NonNullable<Balancing['hash']>): string {
  const sources = by.map((one) => {
    if ('header' in one) return `header ${one.header}`;
    if ('cookie' in one) return cookieWords(one.cookie, one);
    return 'query' in one ? `query ${one.query}` : "the caller's address";
  });
  const most =
    loadPercent > boundedPercent ? '' : `; none has more than ${loadPercent} % of the mean`;
  return `balanced by ${method} of ${sources.join(', then ')}${most}`;
}

/** Path / goes without saying. */
function cookieWords(
  name: string,
  { path, ttlMs }: { path: string; ttlMs: number | null },
): string {
  const where = path === '/' ? '' : ` at ${path}`;
  if (ttlMs === null) return `cookie ${name}${where}`;
  return `cookie ${name}${where}, set ${ttlMs === 0 ? 'until the browser ends' : `for ${msWords(ttlMs)}`}`;
}

function outlierWords(outlier: OutlierDetection): string[] {
  const { consecutive5xx, consecutiveGatewayErrors, successRate, latency, intervalMs } = outlier;
  const reasons = [
    ...(consecutive5xx === 0 ? [] : [`${consecutive5xx} failures in a row`]),
    ...(consecutiveGatewayErrors === 0
      ? []
      : [`${consecutiveGatewayErrors} of 502 to 504 in a row`]),
    ...(successRate === undefined
      ? []
      : [
          `${successRate.stdevFactorPermille / 1000} standard deviations more failures than the others (${volumeWords(successRate)})`,
        ]),
    ...(latency === undefined
      ? []
      : [
          `${latency.factorPercent / 100} times the median of the others, from ${msWords(latency.minimumMs)} on (${volumeWords(latency)})`,
        ]),
  ];
  const times = `${msWords(outlier.baseEjectionMs)} at first, ${msWords(outlier.maxEjectionMs)} at last`;
  const most = `${outlier.maxEjectionPercent} % at most`;
  const panic = outlier.panicThresholdPercent ?? 0;
  return [
    reasons.length === 0
      ? 'endpoints are never left out: no reason for it is set'
      : `endpoints left out after ${reasons.join(', or ')}: ${times}, ${most}`,
    ...(intervalMs === undefined ? [] : [`endpoints compared every ${msWords(intervalMs)}`]),
    ...(panic === 0 ? [] : [`all endpoints used when fewer than ${panic} % are left`]),
  ];
}

function volumeWords(of: { minimumEndpoints: number; requestVolume: number }): string {
  return `of ${of.minimumEndpoints} endpoints with ${of.requestVolume} requests each`;
}
