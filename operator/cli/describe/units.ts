// Numbers, times and lists as sentences have them. Pure.

export function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

export function msWords(ms: number): string {
  if (ms % 60_000 === 0) return `${ms / 60_000} min`;
  return ms % 1_000 === 0 ? `${ms / 1_000} s` : `${ms} ms`;
}

/** `GET`, `GET or PUT`. */
export function anyOf(list: readonly (string | number)[]): string {
  return list.join(' or ');
}
