// The reference data for parsers, which stands beside the project: ../shared/vectors. Another machine may not have it;
// the tests say then what they left out.
import { fileURLToPath } from 'node:url';

/** Folder of a suite, such as `hpack`. */
export function vectors(suite: string): string {
  return fileURLToPath(new URL(`../../../shared/vectors/${suite}`, import.meta.url));
}
