// Texts with `*` at one end, as identities, namespaces, hosts and values of conditions are written. Pure.

/** `*` alone matches whatever is there; nothing matches what is not there. */
export type TextPattern =
  | { readonly kind: 'exact'; readonly text: string }
  | { readonly kind: 'prefix'; readonly text: string }
  | { readonly kind: 'suffix'; readonly text: string };

export function textPattern(pattern: string): TextPattern {
  if (pattern.endsWith('*')) return { kind: 'prefix', text: pattern.slice(0, -1) };
  if (pattern.startsWith('*')) return { kind: 'suffix', text: pattern.slice(1) };
  return { kind: 'exact', text: pattern };
}

export function matchesText(pattern: TextPattern, text: string): boolean {
  switch (pattern.kind) {
    case 'exact':
      return text === pattern.text;
    case 'prefix':
      return text.startsWith(pattern.text);
    case 'suffix':
      return text.endsWith(pattern.text);
  }
}

export function matchesAnyText(patterns: readonly TextPattern[], text: string): boolean {
  for (let i = 0; i < patterns.length; i++) if (matchesText(patterns[i]!, text)) return true;
  return false;
}
