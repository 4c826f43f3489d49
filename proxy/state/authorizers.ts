// The compiled policies of the pod: made once for each content, however often the Workload that brings
// them changes otherwise, so that connections are judged anew only when they have to be.

import type { Authorization } from '../api/authorization.ts';
import { compileAuthorization } from '../policy/authorization/compile.ts';
import type { Authorizer } from '../policy/authorization/types.ts';

/** Of policies that were checked. */
export type AuthorizerOf = (authorization: Authorization | null) => Authorizer;

export function createAuthorizers(): AuthorizerOf {
  const none = compileAuthorization(undefined);
  let heldText = '';
  let held = none;
  return (authorization) => {
    if (authorization === null) return none;
    const text = JSON.stringify(authorization);
    if (text === heldText) return held;
    held = compileAuthorization(authorization);
    heldText = text;
    return held;
  };
}
