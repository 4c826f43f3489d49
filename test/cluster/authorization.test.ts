// AuthorizationPolicies on running pods: who gets in, who is refused in which words, what a dry run tells, and that a
// policy that changes while a connection lives ends it.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, grpc, hold, http, tcp } from '../support/calls.ts';
import { apply, applyRefused, getJson, kubectl } from '../support/kubectl.ts';
import { metric, metricsOf } from '../support/metrics.ts';
import { createNamespace, deleteNamespace, deployEcho, podsOf } from '../support/namespaces.ts';
import { condition, program, programmed, resource } from '../support/policies.ts';

const kind = 'AuthorizationPolicy';
const shop = 't-authz';
const other = 't-authz-other';
const outside = 't-authz-outside';
const web = { namespace: shop, app: 'web' };
const cart = { namespace: shop, app: 'cart' };
const visitor = { namespace: other, app: 'visitor' };
const stranger = { namespace: outside, app: 'stranger' };
const server = `http://cart.${shop}`;
const selector = { matchLabels: { app: 'cart' } };

const statusOf = async (caller: typeof web, path: string, ...more: string[]) =>
  (await http(caller, `${server}${path}`, ...more)).status;

/** Changes the annotation, and waits until every sidecar obeys. */
async function rehearse(name: string, dryRun: boolean): Promise<void> {
  const said = dryRun ? 'True' : 'False';
  const annotation = `tsmesh.dev/dry-run=${dryRun}`;
  await kubectl('annotate', '-n', shop, `ap/${name}`, annotation, '--overwrite');
  await kubectl('wait', '-n', shop, `--for=condition=DryRun=${said}`, `ap/${name}`);
  await programmed(kind, shop, name);
}

async function sidecarLog(app: string): Promise<string> {
  const [pod] = await podsOf(shop, `app=${app}`);
  return kubectl('logs', '-n', shop, pod?.name ?? '', '-c', 'tsmesh-proxy');
}

/** Of the callee's sidecar, for one policy. */
async function counted(name: string, policy: string, ...labels: string[]): Promise<number> {
  return metric(
    await metricsOf(stranger, cart),
    name,
    `policy="${kind} ${shop}/${policy}"`,
    ...labels,
  );
}

describe('AuthorizationPolicy', () => {
  beforeAll(async () => {
    await Promise.all([
      createNamespace(shop, true),
      createNamespace(other, true),
      createNamespace(outside, false),
    ]);
    await Promise.all([
      deployEcho(shop, { name: 'web' }),
      deployEcho(shop, { name: 'cart' }),
      deployEcho(other, { name: 'visitor' }),
      deployEcho(outside, { name: 'stranger' }),
    ]);
  }, 240_000);
  afterAll(() => Promise.all([shop, other, outside].map(deleteNamespace)), 240_000);
  afterEach(async () => {
    await kubectl('delete', 'ap', '--all', '-n', shop);
    await kubectl('delete', 'ap', '--all', '-n', 'tsmesh-system');
  });

  it('lets in the service account that it names, and refuses others in words', async () => {
    await program(kind, shop, 'only-web', {
      selector,
      rules: [{ name: 'web', from: [{ serviceAccounts: ['web'] }] }],
    });
    expect((await echo(web, `${server}/`)).caller).toContain(`/ns/${shop}/sa/web`);
    for (const [caller, identity] of [
      [visitor, `/ns/${other}/sa/visitor`],
      [stranger, 'without an identity'],
    ] as const) {
      const refused = await http(caller, `${server}/`);
      expect(refused.status).toBe(403);
      expect(refused.headers['tsmesh-denied-by']).toContain(`${kind} ${shop}/only-web`);
      expect(refused.body).toContain('no rule of an ALLOW policy allows it');
      expect(refused.body).toContain(identity);
    }
    const rpc = await grpc(visitor, `cart.${shop}:9090`, 'Unary', 'x');
    expect(rpc.grpcStatus).toBe('7');
    expect(rpc.grpcMessage).toContain(`${kind} ${shop}/only-web`);
    expect((await grpc(web, `cart.${shop}:9090`, 'Unary', 'x')).grpcStatus).toBe('0');
    expect(await counted('tsmesh_policy_denied_total', 'only-web')).toBeGreaterThanOrEqual(3);
  });

  it('denies by path, whichever way the path is written, before any ALLOW', async () => {
    await program(kind, shop, 'all', { selector, rules: [{}] });
    await program(kind, shop, 'no-admin', {
      selector,
      action: 'DENY',
      rules: [{ name: 'admin', to: [{ paths: [{ prefix: '/admin' }] }] }],
    });
    expect(await statusOf(web, '/administer')).toBe(200);
    for (const path of ['/admin', '/admin/x', '/%61dmin', '//admin', '/a/..%2fadmin']) {
      const refused = await http(web, `${server}${path}`);
      expect([path, refused.status]).toEqual([path, 403]);
      expect(refused.headers['tsmesh-denied-by']).toContain('rule=admin');
    }
  });

  it('without rules refuses all that no other policy allows, also at TCP ports', async () => {
    await program(kind, shop, 'nothing', {});
    expect(await statusOf(web, '/')).toBe(403);
    expect((await tcp(web, `cart.${shop}:7001`, '--send', '!abc')).received).toBe('');
    await program(kind, shop, 'line', {
      selector,
      rules: [{ from: [{ namespaces: [shop] }], to: [{ ports: [7001] }] }],
    });
    expect((await tcp(web, `cart.${shop}:7001`, '--send', '!abc')).received).toContain('abc');
    expect((await tcp(visitor, `cart.${shop}:7001`, '--send', '!abc')).received).toBe('');
    expect(await statusOf(web, '/')).toBe(403);
    await waitFor('the refusals in the log of the called sidecar', 10_000, async () => {
      const lines = (await sidecarLog('cart')).split('\n');
      const told = lines.filter((line) => line.includes(`${shop}/nothing`));
      return ['7001', '8080'].every((port) =>
        told.some((line) => line.includes(`"destination":"${port}"`)),
      );
    });
  });

  it('of the system namespace holds in every namespace', async () => {
    await program(kind, 'tsmesh-system', 'no-visitors', {
      selector,
      action: 'DENY',
      rules: [{ from: [{ namespaces: [other] }] }],
    });
    const refused = await http(visitor, `${server}/`);
    expect(refused.status).toBe(403);
    expect(refused.headers['tsmesh-denied-by']).toContain(`${kind} tsmesh-system/no-visitors`);
    expect(await statusOf(web, '/')).toBe(200);
  });

  it('in dry run lets through, logs and counts; the annotation alone begins and ends it', async () => {
    const policy = JSON.parse(
      resource(kind, shop, 'rehearsal', {
        selector,
        action: 'DENY',
        rules: [{ name: 'writes', to: [{ methods: ['POST'] }] }],
      }),
    ) as { metadata: { annotations?: object } };
    policy.metadata.annotations = { 'tsmesh.dev/dry-run': 'true' };
    await apply(JSON.stringify(policy));
    await programmed(kind, shop, 'rehearsal');
    const post = () => statusOf(web, '/', '--method', 'POST');
    expect(await post()).toBe(200);
    const labels = ['kind="would-deny"', 'rule="writes"'];
    expect(await counted('tsmesh_policy_remarks_total', 'rehearsal', ...labels)).toBe(1);
    expect(await sidecarLog('cart')).toContain('would-deny');

    const generation = () =>
      getJson<{ metadata: { generation: number } }>('ap', 'rehearsal', '-n', shop);
    const before = (await generation()).metadata.generation;
    await rehearse('rehearsal', false);
    expect(await post()).toBe(403);
    await rehearse('rehearsal', true);
    expect(await post()).toBe(200);
    expect((await generation()).metadata.generation).toBe(before);
    const where = { kind, namespace: shop, name: 'rehearsal' };
    expect((await condition(where, 'DryRun'))?.message).toContain('only logs and counts');
  });

  it('that audits decides nothing, and tells what it saw', async () => {
    await program(kind, shop, 'writes', {
      selector,
      action: 'AUDIT',
      rules: [{ name: 'all', from: [{ identities: ['*'] }] }],
    });
    expect(await statusOf(web, '/')).toBe(200);
    expect(await statusOf(stranger, '/')).toBe(200);
    expect(await counted('tsmesh_policy_remarks_total', 'writes', 'kind="audit"')).toBe(1);
  });

  it('ends what lives when it changes: a connection and a stream that it no longer allows', async () => {
    const opaque = async (): Promise<number> =>
      metric(
        await metricsOf(stranger, cart),
        'tsmesh_tcp_connections_total',
        'direction="inbound"',
        'destination="7001"',
      );
    const before = await opaque();
    const held = Promise.all([
      hold(web, 'tcp', `cart.${shop}:7001`, 15),
      hold(web, 'grpc', `cart.${shop}:9090`, 15),
    ]);
    await waitFor('both to have arrived at the callee', 20_000, async () => {
      const running = metric(
        await metricsOf(stranger, cart),
        'tsmesh_in_flight',
        'direction="inbound"',
      );
      return running === 1 && (await opaque()) === before + 1;
    });
    await program(kind, shop, 'no-web', {
      selector,
      action: 'DENY',
      rules: [{ name: 'web', from: [{ serviceAccounts: ['web'] }] }],
    });
    const [connection, stream] = await held;
    expect(connection.error).toContain('ECONNRESET');
    expect(connection.heldSeconds).toBeLessThan(15);
    // It is told at once, and says its part to the end: nobody answers any more.
    expect(stream.grpcStatus).toBe('7');
    expect(stream.answered).toBeLessThan(stream.sent);
    const log = await sidecarLog('cart');
    for (const port of ['7001', '9090']) {
      const line = log
        .split('\n')
        .find((one) => one.includes(`"destination":"${port}"`) && one.includes('no-web'));
      expect(JSON.parse(line ?? '{}')).toMatchObject({
        policy: `${kind} ${shop}/no-web`,
        rule: 'web',
        peer: expect.stringContaining(`/ns/${shop}/sa/web`),
      });
    }
  }, 120_000);

  it('is Programmed only when what it says is done, time after time', async () => {
    for (const [round, open] of [false, true, false, true].entries()) {
      const rules = open ? [{ from: [{ serviceAccounts: ['web'] }] }] : [];
      await program(kind, shop, 'switch', { selector, rules });
      expect([round, await statusOf(web, '/')]).toEqual([round, open ? 200 : 403]);
      const { metadata } = await getJson<{ metadata: { generation: number } }>(
        'ap',
        'switch',
        '-n',
        shop,
      );
      const done = await condition({ kind, namespace: shop, name: 'switch' }, 'Programmed');
      expect(done?.observedGeneration).toBe(metadata.generation);
    }
  });

  it('says in its status whom it holds for, what it reads without HTTP, and what does not exist', async () => {
    await deployEcho(shop, { name: 'db', appProtocols: { http: 'tcp' } });
    await program(kind, shop, 'reads', {
      selector: { matchLabels: { app: 'db' } },
      action: 'DENY',
      rules: [{ name: 'reads', from: [{ namespaces: ['nowhere'] }], to: [{ methods: ['GET'] }] }],
    });
    const where = { kind, namespace: shop, name: 'reads' };
    const accepted = await condition(where, 'Accepted');
    expect(accepted).toMatchObject({ status: 'True' });
    expect(accepted?.message).toContain('holds for 1 pod');
    expect(accepted?.message).toContain(`8080 of ${shop} Deployment/db`);
    expect(accepted?.message).toContain('rule "reads" refuses whatever the rest of it matches');
    const references = await condition(where, 'ResolvedRefs');
    expect(references).toMatchObject({ status: 'False', reason: 'NamespaceNotFound' });
    expect(references?.message).toContain('spec.rules[0].from[0].namespaces[0]');
    const columns = (await kubectl('get', 'ap', 'reads', '-n', shop)).split('\n');
    expect(columns[0]?.split(/ {2,}/)).toEqual([
      'NAME',
      'ACTION',
      'DRY RUN',
      'ACCEPTED',
      'PROGRAMMED',
      'AGE',
    ]);
    expect(columns[1]).toMatch(/^reads +DENY +False +True +True /);
  }, 120_000);

  it('that is wrong is refused by kubectl apply, with the place and what would be right', async () => {
    const bad = { rules: [{ from: [{ ipBlocks: ['10.0.0.0/33'] }] }] };
    const words = await applyRefused(resource(kind, shop, 'bad', bad));
    expect(words).toContain('spec.rules[0].from[0].ipBlocks[0]');
    expect(words).toContain('must be an IP address or a CIDR block, such as 10.0.0.7');
  });
});
