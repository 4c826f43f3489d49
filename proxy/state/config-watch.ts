// When configuration was last put in force, how often, and what was refused of it, for metrics.

import type { Store } from './store.ts';

export interface ConfigWatch {
  /** Unix milliseconds; 0: never. */
  appliedAtMs: number;
  changes: number;
  rejected: number;
}

export function watchConfig(
  store: Pick<Store, 'onSwap'>,
  clock: { wallTimeMs(): number },
): ConfigWatch {
  const watch: ConfigWatch = { appliedAtMs: 0, changes: 0, rejected: 0 };
  store.onSwap(() => {
    watch.appliedAtMs = clock.wallTimeMs();
    watch.changes += 1;
  });
  return watch;
}
