// Writes down the state of the cluster after a failure: objects, events and logs of the mesh.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, tail } from '../lib/command.ts';
import { repository } from '../lib/paths.ts';
import { say } from '../lib/steps.ts';
import type { Cluster } from './cluster.ts';

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly spec: {
      readonly containers: { name: string }[];
      readonly initContainers?: { name: string }[];
    };
  }[];
}

/** Into this folder of dist/logs; the operator's last words also to standard error. */
export async function dumpCluster(cluster: Cluster, name: string): Promise<void> {
  const folder = join(repository, 'dist/logs', name);
  mkdirSync(folder, { recursive: true });
  const kubectl = async (...args: string[]): Promise<string> => {
    const flags = ['--kubeconfig', cluster.kubeconfig, '--request-timeout=20s'];
    const { stdout, stderr } = await run(cluster.kubectl, [...flags, ...args]);
    return stdout + stderr;
  };
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const everything = 'pods,services,endpointslices,deployments,jobs,events,secrets';
  write(
    'objects.txt',
    await kubectl('get', everything, '-A', '-o', 'wide', '--sort-by=.metadata.creationTimestamp'),
  );
  const own = 'meshes,meshstatuses,peerauthentications,trafficpolicies,authorizationpolicies';
  write('mesh.yaml', await kubectl('get', own, '-A', '-o', 'yaml'));
  write('pods.yaml', await kubectl('get', 'pods', '-A', '-o', 'yaml'));
  const pods = JSON.parse(await kubectl('get', 'pods', '-A', '-o', 'json')) as PodList;
  for (const { metadata, spec } of pods.items) {
    for (const { name } of [...(spec.initContainers ?? []), ...spec.containers]) {
      const log = await kubectl('-n', metadata.namespace, 'logs', metadata.name, '-c', name);
      write(`${metadata.namespace}.${metadata.name}.${name}.log`, log);
      if (metadata.name.startsWith('tsmesh-operator')) {
        process.stderr.write(`--- log of ${metadata.name}\n${tail(log, 60)}\n`);
      }
    }
  }
  process.stderr.write(`--- pods\n${await kubectl('get', 'pods', '-A', '-o', 'wide')}\n`);
  say(`objects, events and logs of the cluster are in ${folder}`);
}
