// The operator asked over a byte stream, as a port-forward gives it: here a connection to a real console.

import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createConsoleServer, type ConsoleServer, type ConsoleSources } from '../console/server.ts';
import type { UserClient } from '../kube/user-client.ts';
import { askLeader } from './console.ts';
import type { CliError } from './errors.ts';

let server: ConsoleServer | null = null;

async function clientOf(leading: boolean, holder = 'operator-1_10.0.0.9'): Promise<UserClient> {
  const identity = { replica: 'operator-1', version: '0.1.0', leading };
  const holdings = [{ namespace: 'shop', pod: 'web-1', destinations: ['10.96.0.7:80'] }];
  // The others are asked by nobody here.
  const sources: Partial<ConsoleSources> = {
    identity: () => identity,
    sidecars: () => [],
    holdings: () => holdings,
    wallTimeMs: () => 7,
    nowMs: () => 7,
  };
  server = createConsoleServer(sources as ConsoleSources);
  const port = await server.listen(0);
  const lease = { metadata: { name: 'tsmesh-operator' }, spec: { holderIdentity: holder } };
  const client = {
    server: 'https://cluster',
    api: { get: () => Promise.resolve(lease) },
    forward: () => Promise.resolve(connect(port, '127.0.0.1')),
  };
  return client as unknown as UserClient;
}

async function refusal(client: UserClient, path: string): Promise<CliError> {
  return await askLeader(client, path).then(
    () => {
      throw new Error('it was answered');
    },
    (error: CliError) => error,
  );
}

describe('the operator', () => {
  afterEach(async () => {
    await server?.close();
  });

  it('answers which sidecars hold what', async () => {
    const client = await clientOf(true);
    expect(await askLeader(client, '/api/holdings')).toEqual({
      operator: { replica: 'operator-1', version: '0.1.0', leading: true },
      sidecars: [{ namespace: 'shop', pod: 'web-1', destinations: ['10.96.0.7:80'] }],
    });
  });

  it('that is older than the tool is said to be', async () => {
    const { code, exitCode, message, hint } = await refusal(await clientOf(true), '/api/later');
    expect([code, exitCode]).toEqual(['OldOperator', 4]);
    expect(message).toBe('the operator does not know /api/later: it is older than this');
    expect(hint).toContain('upgrade the operator');
  });

  it('that does not lead says so', async () => {
    const { code, message } = await refusal(await clientOf(false), '/api/holdings');
    expect(code).toBe('NoOperator');
    expect(message).toContain('operator-1 does not lead');
  });

  it('is missing where nobody leads', async () => {
    const { code, message } = await refusal(await clientOf(true, ''), '/api/holdings');
    expect([code, message]).toEqual([
      'NoOperator',
      'no operator leads in tsmesh-system of https://cluster',
    ]);
  });
});
