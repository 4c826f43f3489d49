// What deciding asks of whatever finds the rules that hold. Types, and the names of the sets.

import type { CallerFacts, Facts } from './facts.ts';
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
