// Counts and logs a connection that was not even looked at, because there are too many.

import type { Counters, Direction } from '../telemetry/counters.ts';
import { contextOf, type ExchangeDeps } from './context.ts';
import { logRefusedConnection } from './connection-log.ts';

export function logOverload(
  deps: ExchangeDeps & { counters: Counters },
  direction: Direction,
  reason: string,
): void {
  const nobody = { direction, destination: '', peer: null, active: { requests: 0 } };
  logRefusedConnection(contextOf(deps, nobody), 'overload', reason);
}
