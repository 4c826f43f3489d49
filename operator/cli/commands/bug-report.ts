// `tsmesh bug-report`: what somebody needs who is to find out what is wrong, in a folder to read before it is shared. No Secrets are
// asked for, and of pods no environment.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  apiGroup,
  apiVersion,
  containerNames,
  systemNamespace,
} from '../../../proxy/api/constants.ts';
import type { SidecarsAnswer } from '../../console/api.ts';
import type { UserClient } from '../../kube/user-client.ts';
import type { KubeObject } from '../../resources/kubernetes.ts';
import { errorText } from '../../resources/logger.ts';
import {
  clusterOptions,
  commonOptions,
  optionHelp,
  readArguments,
  wantsJson,
  type OptionTable,
} from '../arguments.ts';
import { gatherFacts, type Facts } from '../check/facts.ts';
import { findingsOf } from '../check/findings.ts';
import type { Command } from '../command.ts';
import { askLeader } from '../console.ts';
import { CliError, exitCodes } from '../errors.ts';
import { connect } from '../live.ts';
import type { World } from '../world.ts';
import packageJson from '../../../package.json' with { type: 'json' };

const { kubeconfig, context } = clusterOptions;
const options = {
  directory: {
    type: 'string',
    short: 'd',
    value: 'PATH',
    help: 'folder to make; tsmesh-bug-report-TIME by default',
  },
  kubeconfig,
  context,
  ...commonOptions,
} as const satisfies OptionTable;

const logLines = 5_000;
/** Of sidecars with a problem, so many logs are fetched. */
const mostSidecarLogs = 20;

/** Name of a file, and where it comes from. */
const lists = {
  'meshes.json': `/apis/${apiGroup}/${apiVersion}/meshes`,
  'meshstatuses.json': `/apis/${apiGroup}/${apiVersion}/meshstatuses`,
  'trafficpolicies.json': `/apis/${apiGroup}/${apiVersion}/trafficpolicies`,
  'peerauthentications.json': `/apis/${apiGroup}/${apiVersion}/peerauthentications`,
  'authorizationpolicies.json': `/apis/${apiGroup}/${apiVersion}/authorizationpolicies`,
  'deployments.json': `/apis/apps/v1/namespaces/${systemNamespace}/deployments`,
  'events.json': `/apis/events.k8s.io/v1/namespaces/${systemNamespace}/events`,
} as const;

export const bugReport: Command = {
  name: 'bug-report',
  summary: 'collects what is needed to find out what is wrong, in a folder',
  options,
  help: (program) => [
    `${program} bug-report [-d PATH]`,
    '',
    'Writes what `check` and `status` say, the objects of the mesh, the events and logs of the operator, and the logs of sidecars',
    'that are not well. It asks for no Secrets. Logs and policies may name what is yours: read the folder before you share it.',
    '',
    ...optionHelp(options),
    '',
    'Exit codes: 0 written (what could not be read is named in it), 2 bad input, 4 the cluster cannot be reached.',
  ],
  async run(args, world) {
    const values = readArguments(args, options);
    const asJson = wantsJson(values.output);
    const client = connect(values, world);
    try {
      const facts = await factsOf(client, world);
      const stamp = new Date(world.clock.wallTimeMs()).toISOString().replaceAll(/[:.]/g, '-');
      const folder = values.directory ?? `tsmesh-bug-report-${stamp}`;
      const failed = await write(folder, await filesOf(client, facts));
      if (asJson) world.out(JSON.stringify({ folder, notRead: failed }, null, 2));
      else {
        for (const line of failed) world.err(`not in it: ${line}`);
        world.out(`written: ${folder} (read it before you share it)`);
      }
      return exitCodes.ok;
    } finally {
      client.close();
    }
  },
};

async function factsOf(client: UserClient, world: World): Promise<Facts> {
  const facts = await gatherFacts(
    client,
    () => world.clock.wallTimeMs(),
    () => askLeader<SidecarsAnswer>(client, '/api/sidecars'),
  );
  if ('unread' in facts.server)
    throw new CliError('NoCluster', `cannot ask ${client.server}: ${facts.server.unread}`);
  return facts;
}

type File = [name: string, content: () => Promise<string>];

async function filesOf(client: UserClient, facts: Facts): Promise<File[]> {
  const { server, sidecars } = facts;
  const versions = { tool: packageJson.version, cluster: server, sidecars };
  const now = (value: unknown) => async () => json(value);
  const logs = [...operatorLogs(facts), ...sidecarLogs(facts)];
  return [
    ['versions-and-sidecars.json', now(versions)],
    ['check.json', now(findingsOf(facts, packageJson.version))],
    ...Object.entries(lists).map(([name, path]): File => [
      name,
      async () => json(withoutCopies(await readList(client, path))),
    ]),
    ...logs.map(({ name, path }): File => [name, () => read(client, path)]),
  ];
}

/** Writes what can be had; answers what could not, in words. */
async function write(folder: string, files: readonly File[]): Promise<string[]> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new CliError('BadInput', `cannot write to ${folder}: ${errorText(error)}`);
  }
  const failed: string[] = [];
  for (const [name, content] of files) {
    try {
      await writeFile(join(folder, name), await content());
    } catch (error) {
      failed.push(`${name}: ${errorText(error)}`);
    }
  }
  if (failed.length > 0) await writeFile(join(folder, 'not-read.txt'), `${failed.join('\n')}\n`);
  return failed;
}

interface Log {
  name: string;
  path: string;
}

function operatorLogs({ pods }: Facts): Log[] {
  if (!('value' in pods)) return [];
  return pods.value
    .filter(({ metadata }) => metadata.namespace === systemNamespace)
    .flatMap(({ metadata: { name }, status }) => {
      const one = logOf(systemNamespace, name, 'operator');
      const restarted = (status?.containerStatuses ?? []).some(
        ({ restartCount = 0 }) => restartCount > 0,
      );
      const before = { name: `before-${one.name}`, path: `${one.path}&previous=true` };
      return restarted ? [one, before] : [one];
    });
}

function sidecarLogs({ sidecars }: Facts): Log[] {
  if (!('value' in sidecars)) return [];
  return sidecars.value.sidecars
    .filter(({ state }) => state === 'rejected' || state === 'disconnected')
    .slice(0, mostSidecarLogs)
    .map(({ namespace, pod }) => logOf(namespace, pod, containerNames.proxy));
}

function logOf(namespace: string, pod: string, container: string): Log {
  return {
    name: `log-${namespace}-${pod}-${container}.txt`,
    path: `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}&tailLines=${logLines}`,
  };
}

async function read(client: UserClient, path: string): Promise<string> {
  const { status, body } = await client.send({ method: 'GET', path });
  if (status === 403) throw new Error('the right to read it is missing (403)');
  if (status !== 200) throw new Error(`the API server answered ${status}`);
  return body;
}

async function readList(client: UserClient, path: string): Promise<KubeObject[]> {
  return (JSON.parse(await read(client, path)) as { items: KubeObject[] }).items;
}

/** Without the copies that kubectl and the API server keep in each object. */
function withoutCopies(objects: readonly KubeObject[]): KubeObject[] {
  return objects.map((object) => {
    const metadata: Record<string, unknown> & KubeObject['metadata'] = { ...object.metadata };
    const annotations = { ...metadata.annotations };
    delete annotations['kubectl.kubernetes.io/last-applied-configuration'];
    delete metadata['managedFields'];
    return { ...object, metadata: { ...metadata, annotations } };
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
