// Says when an endpoint is left out and when it is back: in the log and in the counters. It decides nothing.

import type { EjectionReason } from '../policy/outlier.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import type { Series } from '../telemetry/counters.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface Told {
  series: Series;
  /** `cart.shop:80`. */
  destination: string;
  logger: Pick<Logger, 'info' | 'warn'>;
}

/** After it was left out. */
export function tellEjection(
  { series, destination, logger }: Told,
  endpoint: EndpointHandle,
  reason: EjectionReason,
  nowMs: number,
): void {
  series.ejection(reason);
  const forMs = Math.round((endpoint.load.health?.outUntilMs ?? nowMs) - nowMs);
  logger.warn('endpoint left out', { destination, ...placeOf(endpoint), reason, forMs });
}

export function tellReturn(
  { destination, logger }: Told,
  endpoint: EndpointHandle,
  outMs: number,
): void {
  const fields = { destination, ...placeOf(endpoint), outMs: Math.round(outMs) };
  logger.info('endpoint in use again', fields);
}

function placeOf({ address, port, podName }: EndpointHandle) {
  return { endpoint: `${address}:${port}`, pod: podName };
}
