// Header fields as conditions look at them. A field may come twice, and may be a list: apps differ on which value
// counts, so every value that an app might take is looked at. Pure.

import type { AuthorizationAction, AuthorizationCondition } from '../../api/authorization.ts';
import type { Fields } from '../../codec/session.ts';
import { matchesAnyText, textPattern } from './text-pattern.ts';

export interface FieldMatcher {
  test(fields: Fields): boolean;
  /** The value in words. */
  seen(fields: Fields): string;
}

/**
 * ALLOW holds if every whole line holds, and so do all lines in one (what a recipient may make of them: RFC 9110
 * §5.3); so a field sent twice never is one exact value. DENY and AUDIT hold if any of these holds, or any item
 * of the list between commas. An absent field has no value: no `values` match it, `notValues` do.
 */
export function fieldMatcher(
  name: string,
  condition: AuthorizationCondition,
  action: AuthorizationAction,
): FieldMatcher {
  const values = condition.values?.map(textPattern) ?? [];
  const notValues = condition.notValues?.map(textPattern) ?? [];
  const holds = (value: string): boolean =>
    (values.length === 0 || matchesAnyText(values, value)) && !matchesAnyText(notValues, value);
  const ofAbsent = values.length === 0;
  const test = action === 'ALLOW' ? testAll(name, holds, ofAbsent) : testAny(name, holds, ofAbsent);
  return { test, seen: (fields) => seenOf(linesOf(fields, name)) };
}

type Holds = (value: string) => boolean;

function testAll(name: string, holds: Holds, ofAbsent: boolean): (fields: Fields) => boolean {
  return (fields) => {
    let joined: string | null = null;
    let lines = 0;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      const value = fields[i + 1]!;
      if (!holds(value)) return false;
      joined = joined === null ? value : `${joined}, ${value}`;
      lines++;
    }
    if (joined === null) return ofAbsent;
    return lines === 1 || holds(joined);
  };
}

function testAny(name: string, holds: Holds, ofAbsent: boolean): (fields: Fields) => boolean {
  return (fields) => {
    let joined: string | null = null;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      const value = fields[i + 1]!;
      if (holds(value)) return true;
      joined = joined === null ? value : `${joined}, ${value}`;
    }
    if (joined === null) return ofAbsent;
    if (!joined.includes(',')) return false;
    return holds(joined) || joined.split(',').some((item) => holds(item.trim()));
  };
}

function linesOf(fields: Fields, name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1] === name);
}

function seenOf(lines: readonly string[]): string {
  if (lines.length === 0) return 'absent';
  return lines.map((line) => JSON.stringify(line)).join(' and ');
}
