// Which rate limits of the called pod count the call, by the sidecar's own comparison. Whether there is room is
// nobody's to know but that sidecar's. Pure.

import { matchHolds, pathOf } from '../../../proxy/policy/route-match.ts';
import type { PreparedRateLimit, PreparedWorkload } from '../../../proxy/state/prepared.ts';
import type { Arrival } from './arrival.ts';
import { byWords } from './refusal.ts';

export function rateLimitsAt({ rateLimits }: PreparedWorkload, arrival: Arrival): string[] {
  const { requests, connections } = rateLimits;
  const all = [...(connections ?? []), ...(arrival.request === null ? [] : (requests ?? []))];
  return all.filter((limit) => counts(limit, arrival)).map(byWords);
}

function counts({ ports, matches }: PreparedRateLimit, { port, request }: Arrival): boolean {
  if (ports !== null && !ports.has(port)) return false;
  if (matches.length === 0 || request === null) return matches.length === 0;
  return matches.some((match) => matchHolds(match, request, pathOf(request.path), null));
}
