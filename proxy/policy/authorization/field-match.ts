// Header fields as conditions look at them. A field may come twice, may be a list, and may come under a name that some
// apps take for the same: apps differ on which value counts, so every value that an app might take is looked at. Pure.

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
 *
 * Behind CGI, WSGI and their like `x_user` is `x-user`: where such a field came, both readings are looked at.
 */
export function fieldMatcher(
  name: string,
  condition: AuthorizationCondition,
  action: AuthorizationAction,
): FieldMatcher {
  const values = condition.values?.map(textPattern) ?? [];
  const notValues = condition.notValues?.map(textPattern) ?? [];
  const question: Question = {
    all: action === 'ALLOW',
    ofAbsent: values.length === 0,
    holds: (value) =>
      (values.length === 0 || matchesAnyText(values, value)) && !matchesAnyText(notValues, value),
  };
  return {
    test(fields) {
      const value = onlyLine(fields, name);
      if (value === null) return question.ofAbsent;
      if (value !== undefined) return holdsForLine(question, value);
      const exact = linesOf(fields, name, false);
      const answer = holdsFor(question, exact);
      const alike = linesOf(fields, name, true);
      if (alike.length === exact.length) return answer;
      const other = holdsFor(question, alike);
      return question.all ? answer && other : answer || other;
    },
    seen: (fields) => seenOf(linesOf(fields, name, true)),
  };
}

/** Whether some apps take `field` for `name`, though it is written otherwise. */
export function isAlike(field: string, name: string): boolean {
  return (
    field.length === name.length &&
    field !== name &&
    (field.includes('_') || name.includes('_')) &&
    field.replaceAll('_', '-') === name.replaceAll('_', '-')
  );
}

interface Question {
  /** All readings have to hold, or any. */
  readonly all: boolean;
  readonly ofAbsent: boolean;
  readonly holds: (value: string) => boolean;
}

function holdsFor(question: Question, lines: readonly string[]): boolean {
  if (lines.length === 0) return question.ofAbsent;
  const joined = lines.join(', ');
  if (question.all) return lines.every(question.holds) && question.holds(joined);
  return lines.some(question.holds) || holdsForLine(question, joined);
}

function holdsForLine({ all, holds }: Question, line: string): boolean {
  if (holds(line)) return true;
  return !all && line.includes(',') && line.split(',').some((item) => holds(item.trim()));
}

/** The usual case, without lists: null if the field is absent, undefined if it is not as simple as one line. */
function onlyLine(fields: Fields, name: string): string | null | undefined {
  let value: string | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    const field = fields[i]!;
    if (field === name) {
      if (value !== null) return undefined;
      value = fields[i + 1]!;
    } else if (isAlike(field, name)) return undefined;
  }
  return value;
}

/** `alike`: those under names that some apps take for the same, too. */
function linesOf(fields: Fields, name: string, alike: boolean): string[] {
  const lines: string[] = [];
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i] === name || (alike && isAlike(fields[i]!, name))) lines.push(fields[i + 1]!);
  return lines;
}

function seenOf(lines: readonly string[]): string {
  if (lines.length === 0) return 'absent';
  return lines.map((line) => JSON.stringify(line)).join(' and ');
}
