// The time that a gRPC caller gives its call (gRPC over HTTP/2, "Timeout"): read, and lowered by what has passed of it. A
// value that cannot be read goes on as it is: servers of gRPC refuse such calls themselves.

import type { Fields } from '../codec/session.ts';
import { fieldLine } from '../policy/route-match.ts';

const fieldName = 'grpc-timeout';

/** Of each unit, in milliseconds. */
const units: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** From the finest in which what is left is worth saying. */
const written = ['u', 'm', 'S', 'M', 'H'] as const;
const mostDigits = 99_999_999;
/** Less than that is not worth another value in every header table on the way. */
const worthMs = 1;
const worthShare = 0.01;

/** At most 8 digits and a unit; null where there is none, or none that can be read. Of several nobody knows which counts. */
export function grpcTimeoutMs(fields: Fields): number | null {
  const parts = /^([0-9]{1,8})([HMSmun])$/.exec(fieldLine(fields, fieldName) ?? '');
  return parts === null ? null : Number(parts[1]) * units[parts[2]!]!;
}

/** Rounded down, but never to nothing. */
export function formatGrpcTimeout(leftMs: number): string {
  for (const unit of written) {
    const count = Math.floor(leftMs / units[unit]!);
    if (count <= mostDigits) return `${Math.max(1, count)}${unit}`;
  }
  return `${mostDigits}H`;
}

/** Writes what is left in place of what the caller said, where that makes a difference. */
export function lowerGrpcTimeout(fields: Fields, saidMs: number, leftMs: number): void {
  const passedMs = saidMs - leftMs;
  if (passedMs < worthMs && passedMs < saidMs * worthShare) return;
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i] === fieldName) fields[i + 1] = formatGrpcTimeout(leftMs);
}
