// The compiled policies of the pod: made once for each content, however often the Workload that brings
// them changes otherwise, so that connections are judged anew only when they have to be.

import type { Authorization } from '../api/authorization.ts';
import { compileAuthorization } from '../policy/authorization/compile.ts';
import type { Authorizer } from '../policy/authorization/types.ts';
import { ShapeError } from './reader.ts';

/** Throws a ShapeError where a value is none of its kind: an address block, a template, a key. */
export type AuthorizerOf = (authorization: Authorization | null) => Authorizer;

export function createAuthorizers(): AuthorizerOf {
  const none = compileAuthorization(undefined);
  let heldText = '';
  let held = none;
  return (authorization) => {
    if (authorization === null) return none;
    const text = JSON.stringify(authorization);
    if (text === heldText) return held;
    held = compile(authorization);
    heldText = text;
    return held;
  };
}

function compile(authorization: Authorization): Authorizer {
  try {
    return compileAuthorization(authorization);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new ShapeError('/authorization', error.message);
  }
}
