// Outlier detection: from the text of a policy to complete settings, with the defaults that the CRD documents. Pure.

import type { OutlierDetection } from '../../proxy/api/resources.ts';
import type { OutlierDetectionSpec } from '../resources/tsmesh.ts';
import { timeoutMs } from './retry.ts';

const defaults = {
  consecutive: 5,
  baseEjectionMs: 10_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 50,
  intervalMs: 10_000,
  successRate: { stdevFactorPermille: 1900, minimumEndpoints: 5, requestVolume: 100 },
  latency: { factorPercent: 300, minimumMs: 50, minimumEndpoints: 3, requestVolume: 20 },
};

export function outlierDetection(spec: OutlierDetectionSpec): OutlierDetection {
  const baseEjectionMs = timeoutMs(spec.baseEjectionTime) ?? defaults.baseEjectionMs;
  return {
    consecutive5xx: spec.consecutive5xx ?? defaults.consecutive,
    consecutiveGatewayErrors: spec.consecutiveGatewayErrors ?? defaults.consecutive,
    baseEjectionMs,
    maxEjectionMs: Math.max(
      baseEjectionMs,
      timeoutMs(spec.maxEjectionTime) ?? defaults.maxEjectionMs,
    ),
    maxEjectionPercent: spec.maxEjectionPercent ?? defaults.maxEjectionPercent,
    ...comparison(spec),
    ...(spec.panicThresholdPercent === undefined
      ? {}
      : { panicThresholdPercent: spec.panicThresholdPercent }),
  };
}

type Comparison = Pick<OutlierDetection, 'intervalMs' | 'successRate' | 'latency'>;

/** Of endpoints with each other; nothing where none is asked for. */
function comparison({ interval, successRate, latency }: OutlierDetectionSpec): Comparison {
  if (successRate === undefined && latency === undefined) return {};
  const { minimum, ...slow } = latency ?? {};
  const minimumMs = timeoutMs(minimum) ?? defaults.latency.minimumMs;
  return {
    intervalMs: timeoutMs(interval) ?? defaults.intervalMs,
    ...(successRate === undefined
      ? {}
      : { successRate: { ...defaults.successRate, ...successRate } }),
    ...(latency === undefined ? {} : { latency: { ...defaults.latency, ...slow, minimumMs } }),
  };
}
