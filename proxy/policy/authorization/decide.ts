// The order in which policies decide: a path that must not be ambiguous, DENY, ALLOW; then what is only remarked.
// Which rules hold is a finder's to say. Pure.

import { Facts } from './facts.ts';
import type { Finder } from './finder.ts';
import { pathReadings, plainPathEnd } from './path-readings.ts';
import type { RuleSets } from './rule-sets.ts';
import type { CompiledRule } from './rule.ts';
import type { Caller, Decision, HttpRequest, Remark, Target } from './types.ts';

const noRemarks: readonly Remark[] = [];
export const allowedWithoutPolicy: Decision = {
  allowed: true,
  reason: 'no-policy',
  by: null,
  remarks: noRemarks,
};
/** The Mesh is the one that asks for it. */
const ambiguousPath: Decision = {
  allowed: false,
  reason: 'ambiguous-path',
  by: { policy: 'Mesh default', rule: 'ambiguousPaths' },
  remarks: noRemarks,
};

export interface Judge {
  readonly sets: RuleSets;
  readonly finder: Finder;
  /** Refuse ambiguous paths, where a policy is in force that decides: one on trial changes nothing. */
  readonly refuseAmbiguous: boolean;
}

/**
 * An app takes one reading of the path, and nobody knows which: the request is allowed only if it would be under each.
 * So a DENY rule decides if it holds for any reading, and for every reading some ALLOW rule has to hold; not one and
 * the same, as the app takes only one reading, and what the author allows under different rules is allowed.
 */
export function decide(
  judge: Judge,
  caller: Caller,
  target: Target,
  request: HttpRequest | null,
): Decision {
  const facts = new Facts(caller, judge.finder.known(caller), target, request);
  if (request === null) return decideOne(judge, facts, null);
  const { path } = request;
  if (!judge.sets.paths && !judge.refuseAmbiguous) return decideOne(judge, facts, path);
  const end = plainPathEnd(path);
  if (end >= 0) return decideOne(judge, facts, end === path.length ? path : path.slice(0, end));
  const { texts, ambiguous } = pathReadings(path);
  return decideOdd(judge, facts, texts.length === 0 ? [null] : texts, ambiguous);
}

/** The fast way: one reading. */
function decideOne(judge: Judge, facts: Facts, path: string | null): Decision {
  const { sets, finder } = judge;
  facts.path = path;
  finder.look(facts);
  const decision = verdict(sets, finder, facts);
  if (sets.watch.length === 0 && sets.trialNoAllow.length === 0) return decision;
  return remarked(judge, facts, [path], decision);
}

function verdict(sets: RuleSets, finder: Finder, facts: Facts): Decision {
  if (sets.deny.length > 0) {
    const deny = finder.first('deny', facts);
    if (deny >= 0) return sets.deny[deny]!.decision;
  }
  if (sets.noAllow === null) return allowedWithoutPolicy;
  const allow = finder.first('allow', facts);
  return allow < 0 ? sets.noAllow : sets.allow[allow]!.decision;
}

type Paths = readonly (string | null)[];

function decideOdd(judge: Judge, facts: Facts, paths: Paths, ambiguous: boolean): Decision {
  const refused = ambiguous && judge.refuseAmbiguous;
  const decision = refused ? ambiguousPath : verdictOfAll(judge, facts, paths);
  return remarked(judge, facts, paths, decision);
}

/** The DENY rule that comes first of all that hold for any reading; who allowed is told of the path as sent. */
function verdictOfAll(judge: Judge, facts: Facts, paths: Paths): Decision {
  const { sets, finder } = judge;
  let deny = -1;
  let allowed: Decision | null = null;
  let notAllowed: Decision | null = null;
  for (const path of paths) {
    facts.path = path;
    finder.look(facts);
    const found = finder.first('deny', facts);
    if (found >= 0 && (deny < 0 || found < deny)) deny = found;
    if (sets.noAllow === null) continue;
    const allow = finder.first('allow', facts);
    if (allow < 0) notAllowed = sets.noAllow;
    else allowed ??= sets.allow[allow]!.decision;
  }
  if (deny >= 0) return sets.deny[deny]!.decision;
  return notAllowed ?? allowed ?? allowedWithoutPolicy;
}

function remarked(judge: Judge, facts: Facts, paths: Paths, decision: Decision): Decision {
  const { sets, finder } = judge;
  const watched = new Set<number>();
  let wouldAllow = true;
  for (const path of paths) {
    facts.path = path;
    finder.look(facts);
    finder.collect('watch', facts, watched);
    if (wouldAllow && sets.trialNoAllow.length > 0)
      wouldAllow = finder.first('trialAllow', facts) >= 0;
  }
  const remarks = firstOfEachPolicy(sets.watch, watched);
  if (!wouldAllow) remarks.push(...sets.trialNoAllow);
  return remarks.length === 0 ? decision : { ...decision, remarks };
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
