// Asks the console of the operator that leads, through a port-forward to its pod.

import http from 'node:http';
import { operatorPorts, systemNamespace } from '../../proxy/api/constants.ts';
import { parseHolder, type LeaseObject } from '../kube/leader-election.ts';
import type { PodPort } from '../kube/port-forward.ts';
import type { UserClient } from '../kube/user-client.ts';
import { errorText } from '../resources/logger.ts';
import { CliError } from './errors.ts';
import { asking, connect, type ClusterChoice } from './live.ts';
import type { World } from './world.ts';

const leaseName = 'tsmesh-operator';
const answerTimeoutMs = 10_000;

/** One answer of the leader's console. Rejects with a CliError. */
export async function askOperator<T>(
  choice: ClusterChoice,
  path: string,
  world: World,
): Promise<T> {
  const client = connect(choice, world);
  try {
    return await askLeader<T>(client, path);
  } finally {
    client.close();
  }
}

/** The same of a cluster that is open. */
export async function askLeader<T>(client: UserClient, path: string): Promise<T> {
  const to = await leaderConsole(client);
  return await readJson<T>(() => client.forward(to), path, to.pod);
}

/** Where the console of the operator is that leads. Rejects with a CliError. */
export async function leaderConsole(client: UserClient): Promise<PodPort> {
  const lease = await asking(client, `get Lease ${systemNamespace}/${leaseName}`, () =>
    client.api.get<LeaseObject>('Lease', systemNamespace, leaseName),
  );
  const leader = parseHolder(lease?.spec?.holderIdentity);
  if (leader === null)
    throw new CliError(
      'NoOperator',
      `no operator leads in ${systemNamespace} of ${client.server}`,
      {
        hint: 'is tsmesh installed there, and does its operator run? tsmesh check says what is wrong',
      },
    );
  return { namespace: systemNamespace, pod: leader.name, port: operatorPorts.console };
}

async function readJson<T>(
  open: () => Promise<NodeJS.ReadableStream>,
  path: string,
  pod: string,
): Promise<T> {
  try {
    const stream = await open();
    const { status, body } = await getOver(stream, path);
    if (status === 200) return JSON.parse(body) as T;
    const { error = body } = JSON.parse(body) as { error?: string };
    if (status === 404 && error === 'no such path')
      throw new CliError(
        'OldOperator',
        `the operator does not know ${path}: it is older than this`,
      );
    throw new Error(error);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(
      'NoOperator',
      `cannot ask pod ${systemNamespace}/${pod}: ${errorText(error)}`,
    );
  }
}

function getOver(
  stream: NodeJS.ReadableStream,
  path: string,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(
      {
        path,
        headers: { host: 'localhost', connection: 'close' },
        createConnection: () => stream as never,
        timeout: answerTimeoutMs,
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}
