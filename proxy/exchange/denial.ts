// Who refused by policy, as sidecars tell it to callers, to each other, to their logs and metrics. It
// decides nothing.

import { headers } from '../api/constants.ts';
import type { Fields } from '../codec/session.ts';
import { fieldLine } from '../policy/route-match.ts';

export interface DeniedBy {
  /** `AuthorizationPolicy shop/cart`, `PeerAuthentication shop/strict`, `Mesh default`. */
  readonly policy: string;
  /** Empty where no rule spoke. */
  readonly rule: string;
  /** `deny-rule`, `no-allow-rule`, `ambiguous-path`, `mtls-required`. */
  readonly reason: string;
}

const form =
  /^(?<policy>[^;]{1,512})(?:; rule=(?<rule>.{1,256}))?; reason=(?<reason>[a-z-]{1,32})$/;

/** A field value holds visible ASCII only; what a rule is called is its author's choice. */
export function denialText({ policy, rule, reason }: DeniedBy): string {
  const named = rule === '' ? policy : `${policy}; rule=${rule.slice(0, 256)}`;
  return `${named}; reason=${reason}`.replaceAll(/[^\x20-\x7e]/g, '?');
}

/**
 * Opaque connections have no place for words. Where a sidecar refuses one of a peer's, this is all it sends before
 * it ends it, so that the peer's sidecar, which passes none of it on, knows why.
 */
const opaqueStart = '\u0000tsmesh-denied-by: ';
const opaqueEnd = '\r\n';
const maxOpaqueBytes = 2048;

export function opaqueDenial(by: DeniedBy): Buffer {
  return Buffer.from(opaqueStart + denialText(by) + opaqueEnd, 'latin1');
}

/** Null: the first bytes of an app. */
export function readOpaqueDenial(first: Buffer): DeniedBy | null {
  if (first[0] !== 0 || first.length > maxOpaqueBytes) return null;
  const text = first.toString('latin1');
  if (!text.startsWith(opaqueStart) || !text.endsWith(opaqueEnd)) return null;
  return readDenial(text.slice(opaqueStart.length, -opaqueEnd.length));
}

/** What a verified peer says of its refusal; null where it says nothing. */
export function denialOf(fields: Fields): DeniedBy | null {
  const text = fieldLine(fields, headers.deniedBy);
  return text === undefined ? null : readDenial(text);
}

function readDenial(text: string): DeniedBy {
  const { policy, rule, reason } = form.exec(text)?.groups ?? {};
  if (policy === undefined || reason === undefined)
    return { policy: text.slice(0, 512), rule: '', reason: '' };
  return { policy, rule: rule ?? '', reason };
}
