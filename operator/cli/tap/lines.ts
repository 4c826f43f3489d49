// A request that a sidecar reports, as one line for people. Pure.

import type { TapLine } from '../../../proxy/api/tap.ts';
import type { Paint, Style } from '../style.ts';

/** `12:03:04.123  web-7d4c8  →  cart.shop:80  GET /items  200  1.2ms`; `width`: of the longest pod's name. */
export function tapText(pod: string, line: TapLine, style: Style, width: number): string {
  const arrow = line.direction === 'outbound' ? '→' : '←';
  const parts = [
    style.dim(line.time.slice(11, 23)),
    pod.padEnd(width),
    `${arrow} ${otherEnd(line).padEnd(20)}`,
    whatOf(line).padEnd(30),
    paintOf(line, style)(resultOf(line).padEnd(8)),
    durationText(line.durationMs).padStart(7),
    ...remarks(line),
  ];
  return parts.join('  ').trimEnd();
}

/** Outbound: what was called. Inbound: who called, `shop/web` where it proved who it is. */
function otherEnd({ direction, destination, peer, peerAddress }: TapLine): string {
  if (direction === 'outbound') return printable(destination);
  const [, namespace, account] = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(peer) ?? [];
  return namespace === undefined ? printable(peerAddress || '-') : `${namespace}/${account}`;
}

function whatOf({ method, path, sentBytes, receivedBytes }: TapLine): string {
  if (method !== '') return `${printable(method)} ${printable(path)}`;
  return `TCP ${bytesText(sentBytes)} there, ${bytesText(receivedBytes)} back`;
}

function resultOf({ method, status, grpcStatus }: TapLine): string {
  if (grpcStatus >= 0) return `gRPC ${grpcStatus}`;
  if (method === '') return '-';
  return status === 0 ? 'broken' : String(status);
}

function paintOf({ status, flag, grpcStatus }: TapLine, style: Style): Paint {
  if (status >= 500 || grpcStatus > 0) return style.red;
  if (status >= 400 || flag !== '') return style.yellow;
  return (text) => text;
}

function remarks({ mtls, attempts, flag, detail }: TapLine): string[] {
  return [
    ...(mtls ? [] : ['plaintext']),
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
    ...(flag === '' ? [] : [`${printable(flag)}: ${printable(detail)}`]),
  ];
}

export function durationText(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)}ms`;
  return ms < 10_000 ? `${Math.round(ms)}ms` : `${(ms / 1000).toFixed(1)}s`;
}

function bytesText(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** What callers chose must not steer a terminal (ECMA-48 C0 and C1, DEL). */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?');
}
