// From the settings of a pod to iptables-restore text, one per family (DESIGN §4). Pure: what is
// already there comes in as text, nothing is run.

import type { CaptureSettings } from '../api/bootstrap.ts';
import { ports, proxyUserId } from '../api/constants.ts';

export type Family = 'ipv4' | 'ipv6';

/** Chains of our own: restoring them empties them first, so a second run changes nothing. */
const chains = {
  outbound: 'TSMESH_OUTBOUND',
  inbound: 'TSMESH_INBOUND',
  invalid: 'TSMESH_INVALID',
};

/** Where the kernel's chains enter ours. These lines cannot be emptied, only added once. */
const jumps = {
  filter: [`-A INPUT -p tcp -j ${chains.invalid}`],
  nat: [`-A PREROUTING -p tcp -j ${chains.inbound}`, `-A OUTPUT -p tcp -j ${chains.outbound}`],
} as const;

/**
 * Text for `iptables-restore --noflush`. `saved` is what `iptables-save` says: a jump that stands
 * there is not added again.
 */
export function captureRules(settings: CaptureSettings, family: Family, saved: string): string {
  const present = new Set(saved.split('\n').map((line) => line.trim()));
  const missing = (lines: readonly string[]): string[] =>
    lines.filter((line) => !present.has(line));
  return [
    '*filter',
    `:${chains.invalid} - [0:0]`,
    ...invalidRules(),
    ...missing(jumps.filter),
    'COMMIT',
    '*nat',
    `:${chains.inbound} - [0:0]`,
    `:${chains.outbound} - [0:0]`,
    ...inboundRules(settings),
    ...outboundRules(settings, family),
    ...missing(jumps.nat),
    'COMMIT',
    '',
  ].join('\n');
}

/**
 * A packet that conntrack cannot assign is not translated: the app's or the peer's stack would see a
 * connection it does not know and reset it. Dropped, it is sent again.
 */
function invalidRules(): string[] {
  return [`-A ${chains.invalid} ! -i lo -m conntrack --ctstate INVALID -j DROP`];
}

function inboundRules(settings: CaptureSettings): string[] {
  const open = [ports.health, ...sorted(settings.excludeInboundPorts)];
  return [
    ...open.map((port) => `-A ${chains.inbound} -p tcp -m tcp --dport ${port} -j RETURN`),
    `-A ${chains.inbound} -p tcp -j REDIRECT --to-ports ${ports.inboundCapture}`,
  ];
}

function outboundRules(settings: CaptureSettings, family: Family): string[] {
  const chain = chains.outbound;
  const cidrs = sorted(settings.excludeOutboundCidrs.filter((cidr) => familyOf(cidr) === family));
  return [
    // Loopback, which is also the way to the pod's own address.
    `-A ${chain} -o lo -j RETURN`,
    `-A ${chain} -m owner --uid-owner ${proxyUserId} -j RETURN`,
    `-A ${chain} -m owner --gid-owner ${proxyUserId} -j RETURN`,
    ...cidrs.map((cidr) => `-A ${chain} -d ${cidr} -j RETURN`),
    ...sorted(settings.excludeOutboundPorts).map(
      (port) => `-A ${chain} -p tcp -m tcp --dport ${port} -j RETURN`,
    ),
    `-A ${chain} -p tcp -j REDIRECT --to-ports ${ports.outboundCapture}`,
  ];
}

function familyOf(cidr: string): Family {
  return cidr.includes(':') ? 'ipv6' : 'ipv4';
}

/** Each once, in order: the same settings give the same text. */
function sorted<T extends string | number>(values: readonly T[]): T[] {
  const compare = (a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...new Set(values)].sort(compare);
}
