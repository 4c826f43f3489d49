// The tests on a real Kubernetes, on two clusters at a time: one runs the files that share a cluster, the other
// begins with those that need one for themselves, and both take from what is left of these.
// Waiting for pods, leases and probes is most of what these tests do, so two clusters need little more than one.
import {
  abandonCluster,
  ensureCluster,
  removeCluster,
  runningCluster,
  type Cluster,
} from '../cluster/cluster.ts';
import { dumpCluster } from '../cluster/dump.ts';
import { kubectlFor } from '../lib/kubectl.ts';
import { clusterIndex } from '../lib/paths.ts';
import { say } from '../lib/steps.ts';
import { installMesh, loadMeshImages } from '../mesh.ts';
import { clusterFiles } from './cluster-files.ts';
import { runJest, type JestOptions, type VerifyOptions } from './jest.ts';
import type { Tally } from './tally.ts';

/** Brings clusters and the mesh up, runs the tests, and takes down what it brought up. */
export async function runClusterTests(
  tally: Tally,
  options: VerifyOptions,
  whenInterrupted: (clean: () => Promise<unknown>) => void,
): Promise<void> {
  const { sideBySide, oneByOne } = clusterFiles(options.only, options.full);
  const waiting = [...oneByOne];
  const first = new Lane(clusterIndex(), tally, options);
  const second = new Lane((clusterIndex() + 9) % 10, tally, options);
  whenInterrupted(() => Promise.all([first.abandon(), second.abandon()]));
  if (!(await first.open())) return first.close();
  const all = [first.run(sideBySide, waiting)];
  if (waiting.length > 1)
    all.push(second.open().then((ready) => second.run([], ready ? waiting : [])));
  await Promise.all(all);
  await first.close();
  await second.close();
}

/** A cluster, and what runs on it one after the other. */
class Lane {
  readonly #index: number;
  readonly #tally: Tally;
  readonly #options: VerifyOptions;
  #cluster: Cluster | undefined;
  /** It was made here, and ends here. */
  #own = false;
  #passed = true;

  constructor(index: number, tally: Tally, options: VerifyOptions) {
    this.#index = index;
    this.#tally = tally;
    this.#options = options;
  }

  async open(): Promise<boolean> {
    this.#own = (await runningCluster(this.#index)) === undefined;
    this.#passed = await this.#tally.action(`Kubernetes ${this.#index} with the mesh`, async () => {
      this.#cluster = await ensureCluster(this.#index);
      const references = await loadMeshImages(this.#cluster);
      const { kubectl, kubeconfig } = this.#cluster;
      await installMesh(kubectlFor(kubectl, kubeconfig), references);
    });
    return this.#passed;
  }

  /** Those that may run side by side, then one after the other of those that wait, for as long as there are any. */
  async run(sideBySide: readonly string[], waiting: string[]): Promise<void> {
    if (sideBySide.length > 0) await this.#jest({ files: sideBySide, sideBySide: true });
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      await this.#jest({ files: [file] });
    }
  }

  async #jest(what: Pick<JestOptions, 'files' | 'sideBySide'>): Promise<void> {
    const options = { ...this.#options, ...what, cluster: this.#index };
    this.#passed = (await runJest('cluster', this.#tally, options)) && this.#passed;
  }

  /** Ends a cluster that was made here at once, whatever else is going on. */
  async abandon(): Promise<void> {
    if (!this.#own || this.#options.keep) return;
    say(`removing cluster ${this.#index}`);
    await abandonCluster(this.#index);
  }

  async close(): Promise<void> {
    if (!this.#passed && this.#cluster !== undefined) {
      await dumpCluster(this.#cluster, `cluster-${this.#index}`);
    }
    const name = `cluster ${this.#index}`;
    if (!this.#own) {
      if (this.#cluster !== undefined) say(`${name} ran before and is left running`);
    } else if (this.#options.keep) {
      say(
        `${name} is kept; down with: TSMESH_CLUSTER=${this.#index} node hack/cluster/cli.ts down`,
      );
    } else await removeCluster(this.#index);
  }
}
