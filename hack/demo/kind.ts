// A kind cluster for the demo, where Docker runs. The kind program is built from its Go module when
// the machine has none.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Image } from '../images/archive.ts';
import { writeArchive } from '../images/build.ts';
import { mustRun, run } from '../lib/command.ts';
import { cacheDirectory } from '../lib/paths.ts';
import { step } from '../lib/steps.ts';

/** The first version whose default node image is Kubernetes 1.34. */
const KIND_VERSION = 'v0.30.0';
const NAME = 'tsmesh';

export async function dockerRuns(): Promise<boolean> {
  return (await run('docker', ['info'], { timeoutMs: 10_000 })).code === 0;
}

/** The running cluster, or a new one. */
export async function ensureKind(): Promise<{ kubeconfig: string; kubectl: string }> {
  if ((await run('kubectl', ['version', '--client'])).code !== 0) {
    throw new Error('kubectl is needed to use kind; https://kubernetes.io/docs/tasks/tools');
  }
  const kind = await kindProgram();
  const kubeconfig = join(cacheDirectory(), 'kind.kubeconfig');
  const clusters = (await mustRun(kind, ['get', 'clusters'])).split('\n');
  if (!clusters.includes(NAME)) {
    await step('kind: creating the cluster', () =>
      mustRun(kind, ['create', 'cluster', '--name', NAME, '--wait', '120s'], {
        env: { KUBECONFIG: kubeconfig },
      }),
    );
  }
  await mustRun(kind, ['export', 'kubeconfig', '--name', NAME, '--kubeconfig', kubeconfig]);
  return { kubeconfig, kubectl: 'kubectl' };
}

export async function removeKind(): Promise<void> {
  const kind = await kindProgram();
  await step('kind: deleting the cluster', () =>
    mustRun(kind, ['delete', 'cluster', '--name', NAME]),
  );
}

export async function loadImages(images: readonly Image[]): Promise<void> {
  const kind = await kindProgram();
  const archive = writeArchive(images);
  await step('images: loading into kind', () =>
    mustRun(kind, ['load', 'image-archive', archive, '--name', NAME]),
  );
}

/** Starts a program of this machine in the network of the node, which is a container (needs root). */
export function spawnInKindNode(args: readonly string[]): ChildProcess {
  const script =
    'exec nsenter --net="/proc/$(docker inspect -f "{{.State.Pid}}" "$0")/ns/net" -- "$@"';
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  return spawn('sh', ['-c', script, `${NAME}-control-plane`, ...args], { stdio: [...stdio] });
}

async function kindProgram(): Promise<string> {
  if ((await run('kind', ['version'])).code === 0) return 'kind';
  const folder = join(cacheDirectory(), 'bin', `kind-${KIND_VERSION}`);
  const program = join(folder, 'kind');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  await step(`kind ${KIND_VERSION}: building from Go modules`, () =>
    mustRun('go', ['install', `sigs.k8s.io/kind@${KIND_VERSION}`], {
      env: { GOBIN: folder, CGO_ENABLED: '0' },
    }),
  );
  return program;
}
