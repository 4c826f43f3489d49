// Refusals of sidecars in the words of an answer. Pure.

import { describeError, errorSpec } from '../../../proxy/errors.ts';
import type { LocalReply } from '../../../proxy/exchange/local-reply.ts';
import type { PlaceAnswer, Refusal } from './answer.ts';

/** `opaque`: the connection is reset, as there is nobody to answer. */
export function refused(place: PlaceAnswer, reply: LocalReply, opaque: boolean): PlaceAnswer {
  return { ...place, allowed: false, refusal: refusalFrom(reply, opaque) };
}

export function refusalFrom({ code, detail, by }: LocalReply, opaque: boolean): Refusal {
  const who = by === undefined ? detail : byWords(by);
  const status = opaque ? 0 : errorSpec(code).httpStatus;
  return { code, by: who, status, message: describeError(code, detail) };
}

/** `AuthorizationPolicy shop/cart, readers`. */
export function byWords({ policy, rule }: { policy: string; rule: string }): string {
  return rule === '' ? policy : `${policy}, ${rule}`;
}
