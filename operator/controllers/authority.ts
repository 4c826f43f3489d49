// Keeps the CA in memory and the operator's own certificate in step with the cluster, on every replica:
// after changes of the CA Secret or of the Mesh, and from time to time.

import type { CaKeeper } from '../ca/ca-secret.ts';
import type { OperatorIdentity } from '../ca/operator-identity.ts';
import type { Clock } from '../resources/clock.ts';
import type { Logger } from '../resources/logger.ts';
import { WorkQueue, type Again } from '../runtime/work-queue.ts';

export interface AuthorityDeps {
  keeper: CaKeeper;
  identity: OperatorIdentity;
  clock: Clock;
  logger: Logger;
  random: () => number;
  /** What the CA says of itself, or the operator's certificate, is another. */
  onChanged: () => void;
}

export interface AuthorityLoop {
  /** Something may have changed. */
  wake(): void;
  stop(): Promise<void>;
}

const againMs = 30_000;
const key = 'ca';

export function createAuthorityLoop(deps: AuthorityDeps): AuthorityLoop {
  const { clock, logger, random } = deps;
  let last = '';
  const run = async (): Promise<Again> => {
    await deps.keeper.sync(clock.wallTimeMs());
    const nowMs = clock.wallTimeMs();
    deps.identity.renewIfDue(nowMs);
    const condition = deps.keeper.condition(nowMs);
    const state = JSON.stringify([condition, deps.identity.current()?.serial]);
    if (state !== last) {
      last = state;
      const level = condition.status === 'True' ? 'info' : 'error';
      const { status, reason, message: detail } = condition;
      logger[level]('certificate authority', { status, reason, detail });
      deps.onChanged();
    }
    return { afterMs: againMs };
  };
  const backoff = { baseMs: 200, maxMs: 10_000 };
  const queue = new WorkQueue({
    name: 'authority',
    concurrency: 1,
    backoff,
    clock,
    logger,
    random,
    run,
  });
  queue.add(key);
  return { wake: () => queue.add(key), stop: () => queue.stop() };
}
