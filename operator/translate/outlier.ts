// Outlier detection: from the text of a policy to complete settings, with the defaults that the CRD documents. Pure.

import type { OutlierDetection } from '../../proxy/api/resources.ts';
import type { OutlierDetectionSpec } from '../resources/tsmesh.ts';
import { timeoutMs } from './retry.ts';

const defaults = {
  consecutive: 5,
  baseEjectionMs: 10_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 50,
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
  };
}
