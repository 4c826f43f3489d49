// What finds the rules that hold, and the plain way to do it: ask each in turn. The index is measured and tested
// against that. Pure.

import type { CallerFacts, Facts } from './facts.ts';
import { callerFactsOf } from './facts.ts';
import type { RuleSets } from './rule-sets.ts';
import { ruleHolds } from './rule.ts';
import type { Caller } from './types.ts';

/** The sets in which rules are looked for. */
export const ruleSetNames = ['deny', 'allow', 'watch', 'trialAllow'] as const;
export type RuleSetName = (typeof ruleSetNames)[number];

/** All answers follow the order of the policies. */
export interface Finder {
  /** What is known of the caller, kept with it. */
  known(caller: Caller): CallerFacts;
  /** To be called for each reading of the path, before anything is asked of it. */
  look(facts: Facts): void;
  /** Position of the first rule of the set that holds; -1 if none does. */
  first(set: RuleSetName, facts: Facts): number;
  /** Adds the positions of all rules of the set that hold. */
  collect(set: RuleSetName, facts: Facts, into: Set<number>): void;
}

export function createWalk(sets: RuleSets): Finder {
  return {
    known: callerFactsOf,
    look: () => undefined,
    first(set, facts) {
      const rules = sets[set];
      for (let i = 0; i < rules.length; i++) if (ruleHolds(rules[i]!, facts)) return i;
      return -1;
    },
    collect(set, facts, into) {
      for (const [i, rule] of sets[set].entries()) if (ruleHolds(rule, facts)) into.add(i);
    },
  };
}
