// Load that stands from before something happens until after it, on connections that stay open all that time, and
// the sum of every answer.
import type { LoadResult } from '../apps/load.ts';
import { execIn, startLoad, type Caller, type RunningLoad } from './calls.ts';

export interface LoadKind {
  /** As in the load generator's options: `http://…`, `grpc-kept://…`. */
  url: string;
  options?: string[];
}

export interface Outcome extends LoadKind {
  result: LoadResult;
}

/** Runs `what` while the caller's pod makes these requests, each kind at so many a second. */
export async function underLoad(
  caller: Caller,
  kinds: readonly LoadKind[],
  rate: number,
  what: () => Promise<void>,
): Promise<Outcome[]> {
  const loads: RunningLoad[] = [];
  for (const { url, options = [] } of kinds) {
    const all = ['--rate', String(rate), '--concurrency', '8', ...options];
    loads.push(await startLoad(caller, url, ...all));
  }
  try {
    await what();
  } finally {
    await execIn(caller, ['end-loads']);
  }
  const results = await Promise.all(loads.map(({ result }) => result));
  return kinds.map((kind, index) => ({ ...kind, result: results[index]! }));
}
