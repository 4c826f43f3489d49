// The order in which policies decide: a path that must not be ambiguous, DENY, ALLOW; then what is only remarked.
// Which rules hold is a finder's to say. Pure.

import { factsOf } from './facts.ts';
import type { Finder } from './finder.ts';
import { pathReadings } from './path-readings.ts';
import type { RuleSets } from './rule-sets.ts';
import type { CompiledRule } from './rule.ts';
import type { Caller, Decision, HttpRequest, Remark, RuleRef, Target } from './types.ts';

const noRemarks: readonly Remark[] = [];
export const allowedWithoutPolicy: Decision = {
  allowed: true,
  reason: 'no-policy',
  by: null,
  remarks: noRemarks,
};
/** The Mesh is the one that asks for it. */
export const ambiguousPathRef: RuleRef = { policy: 'Mesh default', rule: 'ambiguousPaths' };
const unknownPath: readonly (string | null)[] = [null];

export interface Judge {
  readonly sets: RuleSets;
  readonly finder: Finder;
  /** Refuse ambiguous paths, where a policy is in force that decides: one on trial changes nothing. */
  readonly refuseAmbiguous: boolean;
}

/**
 * An app takes one reading of the path, and nobody knows which: the request is allowed only if it would be under each.
 * So a DENY rule decides if it holds for any reading, and for every reading some ALLOW rule has to hold.
 */
export function decide(
  judge: Judge,
  caller: Caller,
  target: Target,
  request: HttpRequest | null,
): Decision {
  const facts = factsOf(caller, target, request);
  const { texts, ambiguous } = request === null ? noPath : pathReadings(request.path);
  const paths = texts.length === 0 ? unknownPath : texts;
  const verdict = verdictOf(judge, facts, paths, ambiguous);
  const remarks = remarksOf(judge, facts, paths);
  return remarks.length === 0 ? verdict : { ...verdict, remarks };
}

const noPath = { texts: [], ambiguous: false } as const;

type Facts = ReturnType<typeof factsOf>;
type Paths = readonly (string | null)[];

function verdictOf(judge: Judge, facts: Facts, paths: Paths, ambiguous: boolean): Decision {
  const { sets, finder } = judge;
  if (ambiguous && judge.refuseAmbiguous) return denied('ambiguous-path', ambiguousPathRef);
  const deny = lowest(paths, facts, () => finder.first('deny', facts));
  if (deny >= 0) return denied('deny-rule', sets.deny[deny]!.ref);
  if (sets.noAllow === null) return allowedWithoutPolicy;
  let by = -1;
  for (const path of paths) {
    facts.path = path;
    const allow = finder.first('allow', facts);
    if (allow < 0) return denied('no-allow-rule', sets.noAllow);
    // Of several readings the one as sent tells who allowed it.
    if (by < 0) by = allow;
  }
  return { allowed: true, reason: 'allow-rule', by: sets.allow[by]!.ref, remarks: noRemarks };
}

function denied(reason: Decision['reason'], by: RuleRef): Decision {
  return { allowed: false, reason, by, remarks: noRemarks };
}

/** The least position that any reading gives; -1 if none does. */
function lowest(paths: Paths, facts: Facts, find: () => number): number {
  let least = -1;
  for (const path of paths) {
    facts.path = path;
    const found = find();
    if (found >= 0 && (least < 0 || found < least)) least = found;
  }
  return least;
}

function remarksOf(judge: Judge, facts: Facts, paths: Paths): readonly Remark[] {
  const { sets, finder } = judge;
  if (sets.watch.length === 0 && sets.trialNoAllow.length === 0) return noRemarks;
  const watched = new Set<number>();
  let wouldAllow = true;
  for (const path of paths) {
    facts.path = path;
    finder.collect('watch', facts, watched);
    if (sets.trialNoAllow.length > 0 && wouldAllow)
      wouldAllow = finder.first('trialAllow', facts) >= 0;
  }
  const remarks = firstOfEachPolicy(sets.watch, watched);
  if (!wouldAllow) remarks.push(...sets.trialNoAllow);
  return remarks;
}

/** One remark of each policy: its first rule that holds. */
function firstOfEachPolicy(rules: readonly CompiledRule[], found: Set<number>): Remark[] {
  const remarks: Remark[] = [];
  for (const at of [...found].toSorted((a, b) => a - b)) {
    const { ref, action } = rules[at]!;
    if (remarks.at(-1)?.policy === ref.policy) continue;
    remarks.push({ kind: action === 'AUDIT' ? 'audit' : 'would-deny', ...ref });
  }
  return remarks;
}
