// Where the demo runs: the cluster of a kubeconfig that the user names, kind where Docker runs,
// otherwise the embedded cluster. One shape for all three.
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { ensureCluster, removeCluster } from '../cluster/cluster.ts';
import type { Image } from '../images/archive.ts';
import { loadIntoCluster, localReferences, push } from '../images/build.ts';
import { kubectlFor, type Kubectl } from '../lib/kubectl.ts';
import { run } from '../lib/command.ts';
import { dockerRuns, ensureKind, loadImages, removeKind, spawnInKindNode } from './kind.ts';

export interface Target {
  readonly description: string;
  readonly kubectl: Kubectl;
  /** What a person types for kubectl on this cluster. */
  readonly kubectlWords: string;
  readonly kubeconfig: string;
  /** Brings images to the cluster; answers with their references there, by name. */
  readonly bringImages: (images: readonly Image[]) => Promise<ReadonlyMap<string, string>>;
  /** Starts a program in the node's network; absent where the node cannot be reached. */
  readonly spawnOnNode?: (args: readonly string[]) => ChildProcess;
}

export interface TargetOptions {
  readonly kubeconfig: string | undefined;
  readonly registry: string | undefined;
}

/** The cluster to use, made if need be. */
export async function chooseTarget(options: TargetOptions): Promise<Target> {
  if (options.kubeconfig !== undefined) return namedCluster(options.kubeconfig, options.registry);
  return (await dockerRuns()) ? await kind() : await embedded();
}

/** Removes the clusters that chooseTarget makes; a cluster of the user's is not touched. */
export async function removeOwnClusters(): Promise<void> {
  if (await dockerRuns()) await removeKind();
  else await removeCluster();
}

async function namedCluster(kubeconfig: string, registry: string | undefined): Promise<Target> {
  if (!existsSync(kubeconfig)) throw new Error(`--kubeconfig ${kubeconfig}: there is no such file`);
  if ((await run('kubectl', ['version', '--client'])).code !== 0) {
    throw new Error(
      'kubectl is needed for a cluster of your own; https://kubernetes.io/docs/tasks/tools',
    );
  }
  const kubectl = kubectlFor('kubectl', kubeconfig);
  await kubectl(['get', '--raw', '/readyz', '--request-timeout=10s']);
  return {
    description: `the cluster of ${kubeconfig}`,
    kubectl,
    kubectlWords: `kubectl --kubeconfig ${kubeconfig}`,
    kubeconfig,
    bringImages: (images) => {
      if (registry !== undefined) return push(images, registry);
      throw new Error(
        'your cluster pulls images from a registry: name one, --registry HOST[/PREFIX]',
      );
    },
  };
}

async function kind(): Promise<Target> {
  const { kubeconfig, kubectl } = await ensureKind();
  return {
    description: 'kind (Docker runs here)',
    kubectl: kubectlFor(kubectl, kubeconfig),
    kubectlWords: `${kubectl} --kubeconfig ${kubeconfig}`,
    kubeconfig,
    bringImages: async (images) => {
      await loadImages(images);
      return localReferences(images);
    },
    spawnOnNode: spawnInKindNode,
  };
}

async function embedded(): Promise<Target> {
  const cluster = await ensureCluster();
  return {
    description: 'the embedded cluster (no Docker runs here)',
    kubectl: kubectlFor(cluster.kubectl, cluster.kubeconfig),
    kubectlWords: `${cluster.kubectl} --kubeconfig ${cluster.kubeconfig}`,
    kubeconfig: cluster.kubeconfig,
    bringImages: async (images) => {
      await loadIntoCluster(cluster, images);
      return localReferences(images);
    },
    spawnOnNode: (args) => cluster.nodeSpawn(args, { stdio: ['ignore', 'pipe', 'pipe'] }),
  };
}
