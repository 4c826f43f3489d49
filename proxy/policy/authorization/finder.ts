// Finds the rules that hold, by asking each in turn: what the index is measured and tested against, and what judges
// few rules. Pure.

import type { Facts } from './facts.ts';
import { ruleHolds } from './rule.ts';
import type { RuleSets } from './rule-sets.ts';

/** The four sets in which rules are looked for. */
export type RuleSetName = 'deny' | 'allow' | 'watch' | 'trialAllow';

/** All answers follow the order of the policies. */
export interface Finder {
  /** Position of the first rule of the set that holds; -1 if none does. */
  first(set: RuleSetName, facts: Facts): number;
  /** Adds the positions of all rules of the set that hold. */
  collect(set: RuleSetName, facts: Facts, into: Set<number>): void;
}

export function createWalk(sets: RuleSets): Finder {
  return {
    first: (set, facts) => sets[set].findIndex((rule) => ruleHolds(rule, facts)),
    collect(set, facts, into) {
      for (const [i, rule] of sets[set].entries()) if (ruleHolds(rule, facts)) into.add(i);
    },
  };
}
