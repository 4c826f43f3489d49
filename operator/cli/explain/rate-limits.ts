// Which rate limits of the called pod count the call, by the sidecar's own comparison. Whether there is room is
// nobody's to know but that sidecar's. Pure.

import { isAt, limitsOf } from '../../../proxy/inbound/rate-limit.ts';
import type { PreparedWorkload } from '../../../proxy/state/prepared.ts';
import type { Arrival } from './arrival.ts';
import { byWords } from './refusal.ts';

export function rateLimitsAt({ rateLimits }: PreparedWorkload, arrival: Arrival): string[] {
  const { requests, connections } = rateLimits;
  const { port, request } = arrival;
  const atPort = (connections ?? []).filter((limit) => isAt(limit, port));
  const ofRequest = request === null ? [] : limitsOf(requests ?? [], port, request);
  return [...atPort, ...ofRequest].map(byWords);
}
