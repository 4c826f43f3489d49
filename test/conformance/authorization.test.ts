// AuthorizationPolicies between two sidecars that are processes of their own, from local files; the callee
// on two threads, so that what each of them decides and counts is shown as one.

import { createPrivateKey } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer as createHttpServer, request, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../hack/lib/free-ports.ts';
import type { LocalFile } from '../../proxy/api/validate.ts';
import { guarded, policy } from '../support/authorization.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  until,
  type IdentityDirectory,
} from '../support/identity-files.ts';
import { call, listenOn } from '../support/mesh-pair.ts';
import { metric } from '../support/metrics.ts';
import { destination, endpoints, loopback, service, workload } from '../support/sidecar.ts';
import { startSidecarProcess, type SidecarProcess } from '../support/sidecar-process.ts';

const authority = newAuthority();
const calleeLeaf = issue(authority, { serviceAccount: 'callee' });
const policies = [
  policy('DENY', [{ name: 'no admin', to: [{ paths: [{ prefix: '/admin' }] }] }]),
  policy('ALLOW', [{ name: 'shop', from: [{ namespaces: ['shop'] }] }]),
  policy('AUDIT', [{ name: 'writes', to: [{ methods: ['POST'] }] }]),
];
/** The kernel spreads connections over the threads: all on one is one chance in 2^39. */
const many = 40;

let app: Server;
let callee: SidecarProcess;
let caller: SidecarProcess;
let calleePort: number;
let callerPort: number;
const identities: IdentityDirectory[] = [];
const ends: (() => Promise<unknown>)[] = [];
const reached: string[] = [];

async function startAs(name: string, content: LocalFile): Promise<SidecarProcess> {
  const identity = newIdentityDirectory();
  identities.push(identity);
  identity.replace(name === 'callee' ? calleeLeaf : issue(authority, { serviceAccount: name }));
  return await startSidecarProcess({ ...content, identity: identity.path });
}

beforeAll(async () => {
  app = createHttpServer((incoming, response) => {
    reached.push(`${incoming.method} ${incoming.url}`);
    response.end('served');
  });
  const at: AddressInfo = await listenOn(app);
  [calleePort, callerPort] = [await freePort(), await freePort()];
  callee = await startAs('callee', {
    resources: [{ ...guarded(policies, { mtls: 'PERMISSIVE' }), serviceAccount: 'callee' }],
    inbound: [{ listen: `${loopback}:${calleePort}`, destination: `${loopback}:${at.port}` }],
    concurrency: 2,
  });
  const peer = { address: loopback, port: calleePort, family: 'IPv4' };
  caller = await startAs('caller', {
    resources: [
      { ...workload(), serviceAccount: 'caller' },
      destination(),
      endpoints(peer, 'spiffe://cluster.local/ns/shop/sa/callee'),
    ],
    outbound: [
      {
        listen: `${loopback}:${callerPort}`,
        destination: `${service.address}:${service.port}`,
      },
    ],
  });
}, 20_000);

afterAll(async () => {
  await Promise.all([caller.stop(), callee.stop(), ...ends.map((end) => end())]);
  for (const identity of identities) identity.remove();
  app.closeAllConnections();
  app.close();
});

const denied = (one: SidecarProcess, ...labels: string[]) =>
  one.health('/metrics').then(({ body }) => metric(body, 'tsmesh_policy_denied_total', ...labels));

describe('AuthorizationPolicies of a local file', () => {
  it('let in, refuse and audit, and say so on both sides', async () => {
    const first = await call({ port: callerPort, path: '/cart' });
    expect([first.status, first.body.toString()]).toEqual([200, 'served']);
    const refused = await call({ port: callerPort, path: '/x/..//admin%2fusers' });
    expect(refused.status).toBe(403);
    expect(refused.body.toString()).toContain('AuthorizationPolicy shop/deny, no admin');
    expect((await call({ port: callerPort, method: 'POST', body: 'x' })).status).toBe(200);
    expect(reached).toEqual(['GET /cart', 'POST /']);
    const by = { policy: 'AuthorizationPolicy shop/deny', rule: 'no admin', reason: 'deny-rule' };
    await until(() => caller.logged.some(({ rule }) => rule === 'no admin'));
    await until(() => callee.logged.some(({ rule }) => rule === 'writes'));
    expect(caller.logged.find(({ flag }) => flag === 'PP')).toMatchObject(by);
    expect(callee.logged.find(({ flag }) => flag === 'PD')).toMatchObject({
      ...by,
      peer: 'spiffe://cluster.local/ns/shop/sa/caller',
    });
    expect(await denied(caller, 'direction="outbound"', 'rule="no admin"')).toBe(1);
  });

  it('are obeyed and counted by all threads', async () => {
    const before = await denied(callee, 'policy="AuthorizationPolicy shop/allow"');
    const plain = Array.from(
      { length: many },
      async () => await call({ port: calleePort, agent: false }),
    );
    const statuses = (await Promise.all(plain)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([403]));
    const labels = ['policy="AuthorizationPolicy shop/allow"', 'reason="no-allow-rule"'];
    expect((await denied(callee, ...labels)) - before).toBe(many);
  });

  it('stand in the admin socket, in the order of deciding, with the count of their rules', async () => {
    expect(await callee.admin('/authorization')).toEqual({
      policies: ['deny', 'allow', 'audit'].map((name) => ({
        name: `AuthorizationPolicy shop/${name}`,
        action: name.toUpperCase(),
        dryRun: false,
        rules: 1,
      })),
      ambiguousPaths: 'allReadings',
    });
    expect(await caller.admin('/authorization')).toEqual({
      policies: [],
      ambiguousPaths: 'allReadings',
    });
  });
});

describe('the heap snapshot of a sidecar with several threads', () => {
  it.each([0, 1])(
    'holds no private key, of thread %i',
    async (worker) => {
      const snapshot = await new Promise<string>((resolve, reject) => {
        const path = `/profile/heap?worker=${worker}`;
        request(
          { socketPath: callee.adminPath, path, method: 'POST', agent: false },
          (response) => {
            text(response).then(resolve, reject);
          },
        )
          .on('error', reject)
          .end();
      });
      const { keyPem } = calleeLeaf;
      const { d } = createPrivateKey(keyPem).export({ format: 'jwk' }) as { d: string };
      const secondLine = keyPem.split('\n')[2]!;
      expect(snapshot.length).toBeGreaterThan(1_000_000);
      expect([snapshot.includes(secondLine), snapshot.includes(d)]).toEqual([false, false]);
      expect(snapshot.includes('-----BEGIN PRIVATE KEY-----\\n')).toBe(false);
    },
    60_000,
  );
});

describe('a local file with a policy that is wrong', () => {
  it('is refused by the place, and nothing is let in', async () => {
    const listen = `${loopback}:${await freePort()}`;
    const wrong = policy('ALLOW', [{ from: [{ ipBlocks: ['10.0.0.0/40'] }] }]);
    const one = await startSidecarProcess({
      resources: [guarded([wrong])],
      inbound: [{ listen, destination: `${loopback}:9` }],
    });
    ends.push(() => one.stop());
    const refusal = one.logged.find(({ message }) => message === 'configuration refused');
    expect(refusal).toMatchObject({
      key: 'Workload/self',
      path: '/authorization/policies/0/rules/0/from/0/ipBlocks/0',
    });
    expect((await one.health('/ready')).status).toBe(503);
    await expect(call({ port: Number(listen.split(':')[1]) })).rejects.toThrow('ECONNRESET');
  });
});
