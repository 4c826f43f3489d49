// Regular expressions of policies: their syntax is part of the contract, so that the operator refuses what a
// sidecar could not use. Pure.

import { RE2JS } from 're2js';
import { maxPatternSteps, patternSteps } from './pattern-steps.ts';

/**
 * A regular expression of RE2's syntax, matched in time linear to the text: what a client sends can never
 * make it slow, as it can with JavaScript's own. The whole text has to match. Throws for a pattern that is
 * none, in the words of `patternFault`.
 */
export function compilePattern(regex: string): (text: string) => boolean {
  const compiled = compile(regex);
  if (typeof compiled === 'string') throw new SyntaxError(compiled);
  return (text) => compiled.testExact(text);
}

/** Why the text is no regular expression of RE2's syntax, or one too many, for its author; null if it is one. */
export function patternFault(regex: string): string | null {
  const compiled = compile(regex);
  return typeof compiled === 'string' ? compiled : null;
}

function compile(regex: string): RE2JS | string {
  const steps = patternSteps(regex);
  if (steps > maxPatternSteps) {
    return `"${regex}" takes ${steps} steps for a character, more than ${maxPatternSteps}: let repetitions such as {0,1000} be shorter, or use * and +`;
  }
  try {
    return RE2JS.compile(regex);
  } catch (error) {
    const why = (error as Error).message.replace(/^error parsing regexp: /, '');
    const hint = backtracking.test(regex)
      ? ' (RE2 has no lookaround and no back-references, so that matching takes linear time)'
      : '';
    return `"${regex}" is not a regular expression of RE2: ${why}${hint}`;
  }
}

const backtracking = /\(\?<?[=!]|\\[1-9]/;
