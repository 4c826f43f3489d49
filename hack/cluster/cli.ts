// The command line of the embedded cluster: node hack/cluster/cli.ts up|down|status|kubeconfig|exec.
import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { kubectlFor } from '../lib/kubectl.ts';
import { cacheDirectory } from '../lib/paths.ts';
import { ensureCluster, removeCluster, runningCluster } from './cluster.ts';
import { installMesh, loadMeshImages } from '../mesh.ts';

const usage = `node hack/cluster/cli.ts COMMAND
  up              makes the cluster, or does nothing where a healthy one of this recipe runs
  down [--purge]  removes every trace of it; with --purge the cache of binaries and images as well
  status          says whether it runs (exit code 1 if not)
  mesh            up, then builds the images, installs the mesh and waits for the operator
  kubeconfig      prints the path of the kubeconfig
  kubectl ARGS    runs kubectl of the cluster's version against it
  exec ARGS       runs a program in the node's namespaces, such as: exec tcpdump -ni any port 8080
  load FILE       imports an image archive
  restart-apiserver`;

async function main(command: string | undefined, args: readonly string[]): Promise<number> {
  switch (command) {
    case 'up': {
      const { kubeconfig, kubectl } = await ensureCluster();
      console.log(`KUBECONFIG=${kubeconfig}\nkubectl: ${kubectl}`);
      return 0;
    }
    case 'mesh': {
      const cluster = await ensureCluster();
      const kubectl = kubectlFor(cluster.kubectl, cluster.kubeconfig);
      await installMesh(kubectl, await loadMeshImages(cluster));
      return 0;
    }
    case 'down':
      await removeCluster();
      if (args.includes('--purge')) rmSync(cacheDirectory(), { recursive: true, force: true });
      return 0;
    default:
      return withRunning(command, args);
  }
}

async function withRunning(command: string | undefined, args: readonly string[]): Promise<number> {
  const cluster = await runningCluster();
  if (command === 'status') {
    console.log(cluster === undefined ? 'no healthy cluster runs' : 'the cluster runs');
    return cluster === undefined ? 1 : 0;
  }
  const commands = ['kubeconfig', 'kubectl', 'exec', 'load', 'restart-apiserver'];
  if (command === undefined || !commands.includes(command)) {
    console.error(usage);
    return 2;
  }
  if (cluster === undefined)
    throw new Error('no healthy cluster runs; the fix: node hack/cluster/cli.ts up');
  if (command === 'kubeconfig') console.log(cluster.kubeconfig);
  if (command === 'load') for (const file of args) await cluster.loadImage(file);
  if (command === 'restart-apiserver') await cluster.restartApiserver();
  if (command === 'exec') return passOn(cluster.nodeSpawn(args, { stdio: 'inherit' }));
  if (command === 'kubectl') {
    const flags = ['--kubeconfig', cluster.kubeconfig];
    return passOn(spawn(cluster.kubectl, [...flags, ...args], { stdio: 'inherit' }));
  }
  return 0;
}

function passOn(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

const [command, ...args] = process.argv.slice(2);
try {
  process.exitCode = await main(command, args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
