// Who calls, from what a connection knows of its peer. Pure; made once per connection.

import { parseSpiffeId } from '../../api/spiffe.ts';
import type { Caller } from './types.ts';

const mappedPrefix = '::ffff:';

/** `identity`: the verified SPIFFE id, empty without one. One that is not of the mesh's layout counts as none. */
export function callerOf(identity: string, address: string): Caller {
  const parts = identity === '' ? null : parseSpiffeId(identity);
  return {
    identity: parts === null ? '' : identity,
    namespace: parts === null ? '' : parts.namespace,
    serviceAccount: parts === null ? '' : parts.serviceAccount,
    address: plainAddress(address),
  };
}

/** Sockets that listen on IPv6 show IPv4 peers as `::ffff:10.0.0.1`. */
export function plainAddress(address: string): string {
  return address.startsWith(mappedPrefix) && address.includes('.')
    ? address.slice(mappedPrefix.length)
    : address;
}
