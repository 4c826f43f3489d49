// Which requests ask for a tunnel, and which answers open one (RFC 9110 §9.3.6, §7.8; RFC 8441). It opens none.

import type { RequestHead } from '../codec/session.ts';

export function asksForTunnel(request: RequestHead): boolean {
  return request.upgrade !== null || request.method === 'CONNECT';
}

export function isTunnel(request: RequestHead, status: number): boolean {
  if (status === 101) return true;
  return request.method === 'CONNECT' && status >= 200 && status < 300;
}

/** An ordinary answer that a caller's sidecar would take for an acceptance (mesh-fields.ts). */
export function declinesUpgrade(request: RequestHead, status: number): boolean {
  return request.upgrade !== null && status >= 200 && status < 300;
}
