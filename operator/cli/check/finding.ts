// What a check finds: the shape of it, and the words that several checks share. Pure.

export interface Finding {
  /** `kubernetes`, `clocks`, `operator`, … */
  check: string;
  /** `unchecked`: it could not be read. */
  level: 'ok' | 'warning' | 'error' | 'unchecked';
  text: string;
  /** Empty where nothing is to be done. */
  remedy: string;
}

export const mostNames = 5;

export function ok(check: string, text: string): Finding {
  return { check, level: 'ok', text, remedy: '' };
}

export function unread(check: string, what: string, why: string): Finding {
  const remedy = 'run it as somebody who may read it';
  return { check, level: 'unchecked', text: `${what}: ${why}`, remedy };
}

export function names(list: readonly string[]): string {
  const shown = list.slice(0, mostNames).join(', ');
  return list.length > mostNames ? `${shown} and ${list.length - mostNames} more` : shown;
}
