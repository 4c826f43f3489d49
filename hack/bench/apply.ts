// From a change of any kind to its first obeyed request, and how long after that its status says so. On the embedded
// cluster with the mesh; changes go through an API client, the answers of callers in pods are looked at one by one.
import { ensureCluster } from '../cluster/cluster.ts';
import { kubectlFor } from '../lib/kubectl.ts';
import { step } from '../lib/steps.ts';
import { installMesh, loadMeshImages } from '../mesh.ts';
import { Stage } from '../../test/support/stage.ts';
import { changeAndObserve, changeKinds, recordFor } from '../../test/support/stage-changes.ts';
import type { ChangeKind, Observed } from '../../test/support/stage-changes.ts';
import { row } from './process-figures.ts';

/** Of each kind; 240 in all. */
const changes = 40;
/** Requests per second of each caller: effects are known to 5 ms. */
const rate = 200;

export async function benchApply(): Promise<string[]> {
  const cluster = await ensureCluster();
  const references = await loadMeshImages(cluster);
  await installMesh(kubectlFor(cluster.kubectl, cluster.kubeconfig), references);
  const stage = await Stage.open('bench-apply');
  const rows = [
    row('change', 'changes', 'to effect: median', 'p99', 'status after it: median', 'p99', 'early'),
    row('---', '---', '---', '---', '---', '---', '---'),
  ];
  const all: Observed[] = [];
  try {
    for (const one of changeKinds) {
      const observed = await step(one.title, () => measure(stage, one));
      all.push(...observed);
      rows.push(figures(one.title, observed));
    }
    rows.push(figures('all', all));
  } finally {
    await stage.close();
  }
  return rows;
}

async function measure(stage: Stage, one: ChangeKind): Promise<Observed[]> {
  await one.create(stage);
  stage.watch(one.kind);
  const recordings = await recordFor(stage, one, rate);
  try {
    return await changeAndObserve(stage, one, recordings, changes);
  } finally {
    for (const recording of recordings) recording.end();
    if (one.kind !== 'Mesh') await stage.remove(one.kind, one.name);
  }
}

function figures(title: string, observed: readonly Observed[]): string {
  const effects = observed.map(({ effectMs }) => effectMs);
  const late = observed.flatMap(({ lateMs }) => lateMs ?? []);
  const early = observed.reduce((sum, one) => sum + one.early, 0);
  const [half, most] = [0.5, 0.99];
  const cells = [at(effects, half), at(effects, most), at(late, half), at(late, most)];
  return row(title, observed.length, ...cells, early);
}

function at(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? '' : `${value.toFixed(0)} ms`;
}
