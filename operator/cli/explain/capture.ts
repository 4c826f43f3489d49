// Whether a call of a pod with a sidecar passes that sidecar: annotations can keep ports and networks out of
// it. Pure.

import { BlockList } from 'node:net';
import { readSettings } from '../../inject/settings.ts';
import type { Pod } from '../../resources/kubernetes.ts';
import { isInvented } from '../files/expand.ts';
import type { TargetParty } from './parties.ts';

export interface Capture {
  /** Why the call passes no sidecar of the caller's; empty where it does. */
  excludedBy: string;
  notes: string[];
}

export function captureOf(pod: Pod, { address, port }: TargetParty): Capture {
  const read = readSettings(pod.metadata.annotations ?? {});
  // Injection would have refused the pod.
  if (!read.ok) return { excludedBy: '', notes: [read.message] };
  const { excludeOutboundPorts, excludeOutboundCidrs } = read.settings;
  if (excludeOutboundPorts.includes(port))
    return { excludedBy: 'tsmesh.dev/exclude-outbound-ports', notes: [] };
  if (excludeOutboundCidrs.length === 0) return { excludedBy: '', notes: [] };
  if (isInvented(address)) {
    const what = `the caller's tsmesh.dev/exclude-outbound-cidrs looks at the address of what is called`;
    return { excludedBy: '', notes: [`${what}, which files do not have: it is passed over`] };
  }
  const excluded = holds(excludeOutboundCidrs, address);
  return { excludedBy: excluded ? 'tsmesh.dev/exclude-outbound-cidrs' : '', notes: [] };
}

function holds(blocks: readonly string[], address: string): boolean {
  const list = new BlockList();
  for (const block of blocks) {
    const [network = '', length] = block.split('/');
    const family = familyOf(network);
    const whole = family === 'ipv6' ? 128 : 32;
    list.addSubnet(network, length === undefined ? whole : Number(length), family);
  }
  return list.check(address, familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
