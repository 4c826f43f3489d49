// How many workload certificates one core issues in a second: key pair, X.509, signature.

import { performance } from 'node:perf_hooks';
import { createRoot, loadAuthority } from '../../operator/ca/authority.ts';
import { row } from './process-figures.ts';

const warmUp = 500;
const certificates = 3000;

export async function benchIssuance(): Promise<string[]> {
  const nowMs = Date.now();
  const day = 86_400_000;
  const loaded = loadAuthority(createRoot('cluster.local', 3650 * day, nowMs), nowMs);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  const uris = ['spiffe://cluster.local/ns/shop/sa/cart'];
  const issue = () => loaded.authority.issue({ uris, dnsNames: [], lifetimeMs: day }, nowMs);
  for (let i = 0; i < warmUp; i++) issue();
  const startMs = performance.now();
  for (let i = 0; i < certificates; i++) issue();
  const perSecond = certificates / ((performance.now() - startMs) / 1000);
  return [row('certificates issued per second, one core', perSecond.toFixed(0))];
}
