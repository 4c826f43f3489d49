// The annotation that makes a policy only say what it would do. Anything but "true" is no dry run: a
// policy in doubt is enforced.

import type { KubeObject } from './kubernetes.ts';

export const dryRunAnnotation = 'tsmesh.dev/dry-run';

export function isDryRun(object: KubeObject): boolean {
  return object.metadata.annotations?.[dryRunAnnotation] === 'true';
}
