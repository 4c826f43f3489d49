// An entry of the access log for tests, of a request from shop/web to cart.

import type { AccessEntry } from './access-log.ts';

export function entryWith(of: Partial<AccessEntry> = {}): AccessEntry {
  return {
    direction: 'inbound',
    destination: '8080',
    endpoint: '',
    route: '',
    method: 'GET',
    authority: 'cart',
    path: '/items',
    status: 200,
    grpcStatus: -1,
    peer: 'spiffe://cluster.local/ns/shop/sa/web',
    peerAddress: '10.0.0.9',
    mtls: true,
    requestId: 'r1',
    durationMs: 1,
    attempts: 1,
    sentBytes: 0,
    receivedBytes: 0,
    flag: '',
    detail: '',
    ...of,
  };
}
