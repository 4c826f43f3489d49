// From the policies that a push brought to what judges requests. Pure; once per push.

import type { Authorization } from '../../api/authorization.ts';
import { allowedWithoutPolicy, decide, type Judge } from './decide.ts';
import type { Finder } from './finder.ts';
import { createIndex } from './rule-index.ts';
import { compilePolicies, ruleSetsOf, type CompiledPolicy, type RuleSets } from './rule-sets.ts';
import type { Authorizer } from './types.ts';

const inactive: Authorizer = { active: false, decide: () => allowedWithoutPolicy };

/** Throws a TypeError where `authorizationFaults` has something to say. */
export function compileAuthorization(authorization: Authorization | undefined): Authorizer {
  if (authorization === undefined || authorization.policies.length === 0) return inactive;
  const judge = judgeOf(authorization, compilePolicies(authorization), createIndex);
  return {
    active: true,
    decide: (caller, target, request) => decide(judge, caller, target, request),
  };
}

export function judgeOf(
  authorization: Authorization,
  policies: readonly CompiledPolicy[],
  createFinder: (sets: RuleSets) => Finder,
): Judge {
  const sets = ruleSetsOf(policies);
  const decides = sets.noAllow !== null || sets.deny.length > 0;
  return {
    sets,
    finder: createFinder(sets),
    refuseAmbiguous: decides && authorization.ambiguousPaths === 'refuse',
  };
}
