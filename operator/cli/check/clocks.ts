// Whether the clocks of the cluster agree with the API server's, and this machine's. Pure.

import { counted } from '../describe/units.ts';
import { spanText } from '../span.ts';
import type { Facts, NodeLease } from './facts.ts';
import { names, ok, type Finding } from './finding.ts';

/** A leaf is valid from five minutes back: more than this and some nodes find it not valid yet. */
const mostSkewMs = 60_000;
/** The API server writes whole seconds, and the request takes a moment. */
const leaseErrorMs = 3_000;
/** From here on somebody should look, long before certificates are not valid. */
const mostNodeSkewMs = 10_000;

export function clocks({ server, localMs, nodeLeases }: Facts): Finding[] {
  const check = 'clocks';
  if (!('value' in server) || Number.isNaN(server.value.dateMs)) return [];
  const remedy = 'let NTP set the clocks: certificates are valid between two times';
  const found: Finding[] = [];
  const ownSkewMs = Math.abs(localMs - server.value.dateMs);
  if (ownSkewMs > mostSkewMs) {
    const text = `this machine and the API server differ by ${spanText(ownSkewMs)}`;
    found.push({ check, level: 'warning', text, remedy });
  }
  const skews = ('value' in nodeLeases ? nodeLeases.value : []).map((lease) => ({
    name: lease.metadata.name,
    ms: skewOf(lease),
  }));
  for (const [direction, sign] of [
    ['ahead of', 1],
    ['behind', -1],
  ] as const) {
    const off = skews.filter(({ ms }) => ms * sign > mostNodeSkewMs + leaseErrorMs);
    if (off.length === 0) continue;
    const text = `nodes ${direction} the API server: ${names(off.map(({ name, ms }) => `${name} by ${spanText(Math.abs(ms))}`))}`;
    const worst = Math.max(...off.map(({ ms }) => Math.abs(ms)));
    found.push({ check, level: worst > mostSkewMs ? 'error' : 'warning', text, remedy });
  }
  return found.length > 0 ? found : [ok(check, saying(skews.length))];
}

function saying(nodes: number): string {
  return nodes === 0
    ? 'this machine and the API server agree; those of nodes cannot be read'
    : `agree: the API server, this machine, ${counted(nodes, 'node')}`;
}

/** The kubelet writes its own time in each renewal, and the API server notes when that came. */
function skewOf({ spec, metadata }: NodeLease): number {
  const fields = (metadata as { managedFields?: { time?: string; fieldsV1?: object }[] })
    .managedFields;
  const renewal = fields?.find(({ fieldsV1 }) =>
    JSON.stringify(fieldsV1 ?? {}).includes('f:renewTime'),
  );
  const skew = Date.parse(spec?.renewTime ?? '') - Date.parse(renewal?.time ?? '');
  return Number.isNaN(skew) ? 0 : skew;
}
