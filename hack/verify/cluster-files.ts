// Which test files of the cluster may run beside each other, and which need it for themselves.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../lib/paths.ts';

/**
 * These touch their own namespaces only. What is not named here restarts, replaces or counts what all share (the
 * operator, the API server, the Mesh, the CA), and has a cluster to itself.
 */
const sideBySide: ReadonlySet<string> = new Set([
  'authorization.test.ts',
  'command-line.test.ts',
  'crds.test.ts',
  'dashboard.test.ts',
  'explain.test.ts',
  'isolation.test.ts',
  'keep-alive.test.ts',
  'mixed-endpoints.test.ts',
  'monitoring.test.ts',
  'rotation-under-load.test.ts',
  'service-kinds.test.ts',
  'traffic-policy.test.ts',
  'traffic.test.ts',
]);

/** They take longest, and come first: the two clusters are then done at about the same time. */
const longest = ['lifecycle', 'rollouts', 'operator', 'mesh-status'];

export interface ClusterFiles {
  readonly sideBySide: readonly string[];
  readonly oneByOne: readonly string[];
}

/** Paths from the repository's root. `only`: a pattern of paths; `full`: with those of the full tests. */
export function clusterFiles(only: string | undefined, full: boolean): ClusterFiles {
  const folder = 'test/cluster';
  const names = readdirSync(join(repository, folder)).filter(
    (name) =>
      name.endsWith('.test.ts') &&
      (full || !name.endsWith('.whole.test.ts')) &&
      (only === undefined || new RegExp(only).test(`${folder}/${name}`)),
  );
  const paths = (isWanted: (name: string) => boolean): string[] =>
    names
      .filter(isWanted)
      .toSorted((a, b) => turnOf(a) - turnOf(b) || a.localeCompare(b))
      .map((name) => `${folder}/${name}`);
  return {
    sideBySide: paths((name) => sideBySide.has(name)),
    oneByOne: paths((name) => !sideBySide.has(name)),
  };
}

function turnOf(name: string): number {
  const at = longest.indexOf(name.replace(/\..*/, ''));
  return at < 0 ? longest.length : at;
}
