// Kubernetes, etcd, CoreDNS and the rest of what the embedded cluster runs, from Go modules.
import { ensureBuilt, recipeKey, type Recipe } from '../tools/go-recipes.ts';
import { versions } from './settings.ts';

export interface Binaries {
  readonly kubernetes: string;
  readonly etcd: string;
  readonly coredns: string;
  readonly fortio: string;
  readonly pause: string;
  /** Changes when any of them does. */
  readonly key: string;
}

const kubernetesPackages = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
];

const recipes: Readonly<Record<keyof Omit<Binaries, 'key'>, Recipe>> = {
  kubernetes: {
    name: 'kubernetes',
    version: versions.kubernetes,
    module: 'kubernetes',
    binaries: Object.fromEntries(
      kubernetesPackages.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`]),
    ),
    ldflags: `-s -w ${versionFlags(versions.kubernetes)}`,
  },
  etcd: {
    name: 'etcd',
    version: versions.etcd,
    module: 'etcd',
    binaries: { etcd: 'go.etcd.io/etcd/server/v3' },
    ldflags: '-s -w',
  },
  coredns: {
    name: 'coredns',
    version: versions.coredns,
    binaries: { coredns: 'github.com/coredns/coredns' },
    ldflags: '-s -w',
  },
  fortio: {
    name: 'fortio',
    version: versions.fortio,
    binaries: { fortio: 'fortio.org/fortio' },
    ldflags: '-s -w',
  },
  pause: {
    name: 'pause',
    version: '1',
    module: 'pause',
    binaries: { pause: 'tsmesh.dev/pause' },
    ldflags: '-s -w',
  },
};

/** Builds what the cache does not hold; answers with the folder of each component. */
export async function ensureBinaries(): Promise<Binaries> {
  return {
    kubernetes: await ensureBuilt(recipes.kubernetes),
    etcd: await ensureBuilt(recipes.etcd),
    coredns: await ensureBuilt(recipes.coredns),
    pause: await ensureBuilt(recipes.pause),
    fortio: await ensureBuilt(recipes.fortio),
    key: Object.values(recipes).map(recipeKey).join(' '),
  };
}

/** Without these, /version reports v0.0.0 and clients that parse it misbehave. */
function versionFlags(version: string): string {
  const [major, minor] = version.split('.');
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
    .flatMap((pkg) => [
      `-X ${pkg}.gitVersion=v${version}`,
      `-X ${pkg}.gitMajor=${major}`,
      `-X ${pkg}.gitMinor=${minor}`,
    ])
    .join(' ');
}
