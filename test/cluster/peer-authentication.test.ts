// STRICT, PERMISSIVE and the switch between them on pods that run.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, grpc, http, tcp } from '../support/calls.ts';
import { apply, getJson, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho, podsOf } from '../support/namespaces.ts';
import { condition, program, programmed, resource } from '../support/policies.ts';
import { sizeOf } from '../support/samples.ts';

const meshed = 't-peer';
const outside = 't-peer-outside';
const client = { namespace: meshed, app: 'client' };
const stranger = { namespace: outside, app: 'stranger' };
const server = `http://server.${meshed}/`;

type Mode = 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'UNSET';
type Row = readonly [port: Mode, workload: Mode, namespace: Mode, mesh: Mode];
const modes: readonly Mode[] = ['UNSET', 'STRICT', 'PERMISSIVE', 'DISABLE'];
/** Each of these is decided by another level; the whole table follows. */
const first: readonly Row[] = [
  ['PERMISSIVE', 'STRICT', 'STRICT', 'PERMISSIVE'],
  ['UNSET', 'DISABLE', 'STRICT', 'PERMISSIVE'],
  ['UNSET', 'UNSET', 'STRICT', 'PERMISSIVE'],
  ['UNSET', 'UNSET', 'UNSET', 'STRICT'],
];
const ofPolicies = modes.flatMap((port) =>
  modes.flatMap((workload) =>
    modes.map((namespace): Row => [port, workload, namespace, 'PERMISSIVE']),
  ),
);
const whole = [...ofPolicies, ['UNSET', 'UNSET', 'UNSET', 'DISABLE'] as const];
const others = whole.filter((row) => !first.some((one) => one.join() === row.join()));
const rows = [...first, ...others].slice(0, sizeOf('peerAuthenticationRows'));

/** Port before workload before namespace before mesh. */
function expectedOf([port, workload, namespace, level]: Row): { mode: Mode; decidedBy: string } {
  const levels = [
    [port, `PeerAuthentication ${meshed}/server`],
    [workload, `PeerAuthentication ${meshed}/server`],
    [namespace, `PeerAuthentication ${meshed}/all`],
    [level, 'Mesh default'],
  ] as const;
  const [mode, decidedBy] = levels.find(([said]) => said !== 'UNSET')!;
  return { mode, decidedBy };
}

/** What a call of each protocol came to: who the callee took the caller for, or how it was refused. */
async function outcomes(caller: typeof client): Promise<object> {
  const [web, rpc, line] = await Promise.all([
    http(caller, server),
    grpc(caller, `server.${meshed}:9090`, 'Unary', 'x'),
    tcp(caller, `server.${meshed}:7001`, '--send', '!abc'),
  ]);
  const body = web.status === 200 ? (JSON.parse(web.body) as { caller: string | null }) : null;
  return {
    http: web.status,
    by: web.headers['tsmesh-denied-by'],
    caller: body?.caller ?? null,
    grpc: rpc.grpcStatus,
    tcp: line.received.includes('abc'),
  };
}

interface Modes {
  workloads?: { workload: string; ports: { port: string; mode: string; decidedBy: string }[] }[];
}

async function reportedMode(port: string): Promise<object | undefined> {
  const row = await getJson<{ status?: Modes }>('meshstatus', `namespace.${meshed}`);
  const workload = row.status?.workloads?.find((one) => one.workload === 'Deployment/server');
  return workload?.ports.find((one) => one.port === port);
}

describe('PeerAuthentication', () => {
  beforeAll(async () => {
    await Promise.all([createNamespace(meshed, true), createNamespace(outside, false)]);
    await Promise.all([
      deployEcho(meshed, { name: 'client' }),
      deployEcho(meshed, { name: 'server' }),
      deployEcho(outside, { name: 'stranger' }),
    ]);
  }, 240_000);
  afterAll(() => Promise.all([deleteNamespace(meshed), deleteNamespace(outside)]), 240_000);

  it('switches running pods between PERMISSIVE and STRICT without a restart', async () => {
    const before = await podsOf(meshed, 'app=server');
    for (const round of [1, 2]) {
      await program('PeerAuthentication', meshed, 'all', { mtls: { mode: 'STRICT' } });
      const refused = await http(stranger, server);
      expect([round, refused.status]).toEqual([round, 403]);
      expect(refused.body).toContain(`PeerAuthentication ${meshed}/all`);
      expect(refused.headers['tsmesh-denied-by']).toBe(
        `PeerAuthentication ${meshed}/all; reason=mtls-required`,
      );
      expect((await echo(client, server)).caller).toContain(`/ns/${meshed}/sa/client`);

      await program('PeerAuthentication', meshed, 'all', { mtls: { mode: 'PERMISSIVE' } });
      expect((await echo(stranger, server)).caller).toBeNull();
    }
    expect(await podsOf(meshed, 'app=server')).toEqual(before);
  });

  it('refuses gRPC and TCP callers without a sidecar in their own way', async () => {
    await program('PeerAuthentication', meshed, 'all', { mtls: { mode: 'STRICT' } });
    const rpc = await grpc(stranger, `server.${meshed}:9090`, 'Unary', 'x');
    expect(rpc.grpcStatus).toBe('7');
    expect(rpc.grpcMessage).toContain(`PeerAuthentication ${meshed}/all`);
    const greeted = await tcp(stranger, `server.${meshed}:7001`, '--send', '!abc');
    expect(greeted.received).toBe('');
    expect(greeted.error).toBeDefined();
    const [pod] = await podsOf(meshed, 'app=server');
    await waitFor('the refusal in the log of the sidecar', 10_000, async () => {
      const log = await kubectl('logs', '-n', meshed, pod?.name ?? '', '-c', 'tsmesh-proxy');
      return log.includes(`PeerAuthentication ${meshed}/all`);
    });
  });

  it('lets a port be an exception', async () => {
    await program('PeerAuthentication', meshed, 'server', {
      selector: { matchLabels: { app: 'server' } },
      mtls: { mode: 'STRICT' },
      portLevelMtls: { '8080': { mode: 'PERMISSIVE' } },
    });
    expect((await echo(stranger, server)).service).toBe('server');
    expect((await grpc(stranger, `server.${meshed}:9090`, 'Unary', 'x')).grpcStatus).toBe('7');
    await kubectl('delete', 'peerauthentication', 'server', '-n', meshed);
  });

  it('says which of two at one level lost, and to whom', async () => {
    await programmed('PeerAuthentication', meshed, 'all');
    await apply(resource('PeerAuthentication', meshed, 'later', { mtls: { mode: 'PERMISSIVE' } }));
    const where = { kind: 'PeerAuthentication', namespace: meshed, name: 'later' };
    await kubectl('wait', '-n', meshed, '--for=condition=Accepted=False', 'pa/later');
    const accepted = await condition(where, 'Accepted');
    expect(accepted).toMatchObject({ status: 'False', reason: 'Conflicted' });
    expect(accepted?.message).toContain(`${meshed}/all`);
    expect((await http(stranger, server)).status).toBe(403);
  });

  describe('in the table of levels and modes', () => {
    const name = 'server';
    const selector = { matchLabels: { app: name } };
    beforeAll(() => kubectl('delete', 'pa', '--all', '-n', meshed));
    afterAll(() => program('Mesh', '', 'default', { mtls: { mode: 'PERMISSIVE' } }));

    it.each(rows)('port %s, workload %s, namespace %s, mesh %s', async (...row: Row) => {
      const [port, workload, namespace, level] = row;
      const named = ['8080', '9090', '7001'].map((one) => [one, { mode: port }]);
      await program('Mesh', '', 'default', { mtls: { mode: level } });
      await program('PeerAuthentication', meshed, 'all', { mtls: { mode: namespace } });
      await program('PeerAuthentication', meshed, name, {
        selector,
        mtls: { mode: workload },
        portLevelMtls: Object.fromEntries(named),
      });
      const { mode, decidedBy } = expectedOf(row);
      const refused = mode === 'STRICT';
      const identity = `spiffe://cluster.local/ns/${meshed}/sa/client`;
      expect(await outcomes(client)).toEqual({
        http: 200,
        caller: mode === 'DISABLE' ? null : identity,
        grpc: '0',
        tcp: true,
      });
      expect(await outcomes(stranger)).toEqual({
        http: refused ? 403 : 200,
        by: refused ? expect.stringContaining(decidedBy) : undefined,
        caller: null,
        grpc: refused ? '7' : '0',
        tcp: !refused,
      });
    });

    it('is told as it is in MeshStatus', async () => {
      const { mode, decidedBy } = expectedOf(rows.at(-1)!);
      await waitFor('the mode in force in MeshStatus', 15_000, async () => {
        const told = await reportedMode('8080');
        return JSON.stringify(told) === JSON.stringify({ decidedBy, mode, port: '8080' });
      });
    });
  });
});
