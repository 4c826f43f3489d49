// What is wrong with a TrafficPolicy or the Mesh in itself, with the path of the field: what the CRD's schema
// cannot say, and what it would say to an object that came past it. An invalid policy has no effect. Pure.

import type {
  BackendSpec,
  HashSourceSpec,
  LoadBalancingSpec,
  MeshSpec,
  OutlierDetectionSpec,
  RateLimitSpec,
  RouteSpec,
  TrafficPolicySpec,
} from '../resources/tsmesh.ts';
import { maxPatternSteps, patternSteps } from '../../proxy/api/pattern-steps.ts';
import {
  choiceFaults,
  doubleFaults,
  durationFaults,
  integerFaults,
  percentFaults,
} from './field-checks.ts';
import type { Fault } from './field-checks.ts';
import { collectorFault } from './collector.ts';
import { matchFaults, requestRange, retryFaults, routeFaults } from './route-validity.ts';

const cookieRange = ['0s', '8760h'] as const;
const compared = { minimumEndpoints: [2, 1000], requestVolume: [1, 1_000_000] } as const;
const amount = [1, 10_000_000] as const;
const maxStepsTogether = 5000;

export function trafficPolicyFaults(spec: TrafficPolicySpec): Fault[] {
  const { limits, routes = [], rateLimits = [] } = spec;
  const names = routes.map(({ name }) => name);
  // Before each is compiled: that would take too long as well.
  const tooMuch = patternsFaults(routes, rateLimits);
  if (tooMuch.length > 0) return tooMuch;
  return [
    ...durationFaults('spec.timeout', spec.timeout, requestRange),
    ...durationFaults('spec.idleTimeout', spec.idleTimeout, requestRange),
    ...durationFaults('spec.connectTimeout', spec.connectTimeout, ['1ms', '1m']),
    ...durationFaults('spec.tcpIdleTimeout', spec.tcpIdleTimeout, requestRange),
    ...retryFaults('spec.retries', spec.retries),
    ...balancingFaults('spec.loadBalancing', spec.loadBalancing),
    ...integerFaults('spec.limits.maxConnections', limits?.maxConnections, [1, 100_000]),
    ...integerFaults('spec.limits.maxPendingRequests', limits?.maxPendingRequests, [1, 100_000]),
    ...integerFaults('spec.limits.maxActiveRequests', limits?.maxActiveRequests, [1, 1_000_000]),
    ...outlierFaults('spec.outlierDetection', spec.outlierDetection),
    ...percentFaults('spec.tracing.sampling', spec.tracing?.sampling),
    ...rateLimits.flatMap((one, i) => rateLimitFaults(`spec.rateLimits[${i}]`, one, spec)),
    ...doubleFaults(
      'spec.rateLimits',
      rateLimits.map(({ name }) => name),
    ),
    ...routes.flatMap((route, i) => routeFaults(`spec.routes[${i}]`, route)),
    ...routes.flatMap((route, i) => doubledFaults(`spec.routes[${i}].mirrors`, route, spec)),
    ...doubleFaults('spec.routes', names),
  ];
}

export function meshFaults(spec: MeshSpec): Fault[] {
  const { certificates, proxy, defaults, tracing } = spec;
  return [
    ...durationFaults('spec.certificates.workloadLifetime', certificates?.workloadLifetime),
    ...durationFaults('spec.certificates.rootLifetime', certificates?.rootLifetime),
    ...durationFaults('spec.proxy.statisticsInterval', proxy?.statisticsInterval),
    ...durationFaults('spec.defaults.timeout', defaults?.timeout, requestRange),
    ...retryFaults('spec.defaults.retries', defaults?.retries),
    ...percentFaults('spec.tracing.sampling', tracing?.sampling),
    ...endpointFaults('spec.tracing.endpoint', tracing?.endpoint),
  ];
}

function endpointFaults(path: string, endpoint: string | undefined): Fault[] {
  const message = endpoint === undefined ? null : collectorFault(endpoint);
  return message === null ? [] : [{ path, message }];
}

/** All of them together may be asked about one request, in the sidecar of a caller who did not write them. */
function patternsFaults(routes: readonly RouteSpec[], limits: readonly RateLimitSpec[]): Fault[] {
  const patterns = [...routes, ...limits].flatMap(({ matches = [] }) =>
    matches.flatMap(({ path, headers = [], queryParams = [] }) =>
      [path, ...headers, ...queryParams].map((one) => one?.regex ?? ''),
    ),
  );
  // One that takes too many alone is refused for that, without being compiled.
  const steps = patterns.map(patternSteps).filter((one) => one <= maxPatternSteps);
  const all = steps.reduce((sum, one) => sum + one, 0);
  if (all <= maxStepsTogether) return [];
  const message = `its regular expressions take ${all} steps for a character together, more than ${maxStepsTogether}: use fewer, or shorter repetitions`;
  return [{ path: 'spec', message }];
}

/** A copy to where the request goes anyway would be handled twice. */
function doubledFaults(path: string, route: RouteSpec, policy: TrafficPolicySpec): Fault[] {
  const { mirrors = [], backends = [{}] } = route;
  const nameOf = ({ service, port, subset }: BackendSpec): string =>
    [service ?? policy.service.name, port ?? policy.service.port, subset].join();
  const taken = backends.filter(({ weight }) => weight !== 0).map(nameOf);
  return mirrors.flatMap((mirror, i) =>
    taken.includes(nameOf(mirror))
      ? [{ path: `${path}[${i}]`, message: 'is where the request goes: it would be handled twice' }]
      : [],
  );
}

function balancingFaults(path: string, spec: LoadBalancingSpec | undefined): Fault[] {
  if (spec === undefined) return [];
  const { method, consistentHash: hash, affinity } = spec;
  const faults = [
    ...(hash?.by ?? []).flatMap((one, i) => hashFaults(`${path}.consistentHash.by[${i}]`, one)),
    ...integerFaults(`${path}.consistentHash.maxLoadPercent`, hash?.maxLoadPercent, [101, 1000]),
    ...durationFaults(`${path}.slowStart`, spec.slowStart, ['0s', '1h']),
    ...durationFaults(`${path}.affinity.cookie.ttl`, affinity?.cookie.ttl, cookieRange),
    ...choiceFaults(path, spec, ['consistentHash', 'affinity'], 'at most one'),
  ];
  if ((hash !== undefined) !== (method === 'ConsistentHash')) {
    faults.push({ path, message: 'consistentHash goes with method ConsistentHash' });
  }
  return faults;
}

function hashFaults(path: string, source: HashSourceSpec): Fault[] {
  return [
    ...choiceFaults(path, source, ['header', 'cookie', 'queryParam', 'sourceAddress'], 'one'),
    ...durationFaults(`${path}.cookie.ttl`, source.cookie?.ttl, cookieRange),
  ];
}

function outlierFaults(path: string, spec: OutlierDetectionSpec | undefined): Fault[] {
  if (spec === undefined) return [];
  const { successRate: rate, latency } = spec;
  const whole = (name: string, value: number | undefined, range: readonly [number, number]) =>
    integerFaults(`${path}.${name}`, value, range);
  return [
    ...whole('consecutive5xx', spec.consecutive5xx, [0, 1000]),
    ...whole('consecutiveGatewayErrors', spec.consecutiveGatewayErrors, [0, 1000]),
    ...durationFaults(`${path}.baseEjectionTime`, spec.baseEjectionTime, ['1ms', '24h']),
    ...durationFaults(`${path}.maxEjectionTime`, spec.maxEjectionTime, ['1ms', '24h']),
    ...whole('maxEjectionPercent', spec.maxEjectionPercent, [0, 100]),
    ...durationFaults(`${path}.interval`, spec.interval, ['100ms', '1h']),
    ...whole('successRate.stdevFactorPermille', rate?.stdevFactorPermille, [100, 10_000]),
    ...whole('successRate.minimumEndpoints', rate?.minimumEndpoints, compared.minimumEndpoints),
    ...whole('successRate.requestVolume', rate?.requestVolume, compared.requestVolume),
    ...whole('latency.factorPercent', latency?.factorPercent, [101, 100_000]),
    ...durationFaults(`${path}.latency.minimum`, latency?.minimum, ['1ms', '1h']),
    ...whole('latency.minimumEndpoints', latency?.minimumEndpoints, compared.minimumEndpoints),
    ...whole('latency.requestVolume', latency?.requestVolume, compared.requestVolume),
    ...whole('panicThresholdPercent', spec.panicThresholdPercent, [0, 100]),
  ];
}

function rateLimitFaults(path: string, spec: RateLimitSpec, policy: TrafficPolicySpec): Fault[] {
  const { port, connections, matches, per = [] } = spec;
  const faults = [
    ...choiceFaults(path, spec, ['requests', 'connections'], 'one'),
    ...integerFaults(`${path}.requests`, spec.requests, amount),
    ...integerFaults(`${path}.connections`, connections, amount),
    ...integerFaults(`${path}.burst`, spec.burst, amount),
    ...durationFaults(`${path}.interval`, spec.interval, ['1s', '1h']),
    ...matchFaults(`${path}.matches`, matches),
    ...per.flatMap((one, i) =>
      choiceFaults(`${path}.per[${i}]`, one, ['identity', 'header', 'sourceAddress'], 'one'),
    ),
  ];
  const say = (name: string, message: string) => faults.push({ path: `${path}.${name}`, message });
  const own = policy.service.port;
  if (port !== undefined && own !== undefined && port !== own) {
    say('port', `the policy holds for port ${own} only (spec.service.port)`);
  }
  if ((matches ?? []).some(({ source }) => source !== undefined)) {
    say('matches', "the callee's sidecar does not know labels of its callers: use per identity");
  }
  if (connections !== undefined && matches !== undefined) {
    say('matches', 'nothing of a request is known yet when a connection is counted');
  }
  if (connections !== undefined && per.some(({ identity }) => identity === undefined)) {
    say('per', 'connections can be counted per identity only');
  }
  return faults;
}
