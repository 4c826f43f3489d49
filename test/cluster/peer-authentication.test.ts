// STRICT, PERMISSIVE and the switch between them on pods that run.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, grpc, http, tcp } from '../support/calls.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho, podsOf } from '../support/namespaces.ts';
import { condition, program, programmed, resource } from '../support/policies.ts';

const meshed = 't-peer';
const outside = 't-peer-outside';
const client = { namespace: meshed, app: 'client' };
const stranger = { namespace: outside, app: 'stranger' };
const server = `http://server.${meshed}/`;

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
});
