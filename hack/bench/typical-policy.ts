// What a typical policy costs in force (two routes, a split, retries, a timeout, ejection) against none.
import { benchSettings } from './settings-cost.ts';

export async function benchTypicalPolicy(): Promise<string[]> {
  return await benchSettings([
    { name: 'tsmesh-policy', title: 'policy', inForce: { policy: 'typical' }, goal: 1.05 },
  ]);
}
