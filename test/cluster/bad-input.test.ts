// What people get wrong, and where they are told: at admission, in an Event, in a condition, in a log;
// and that what worked goes on. (Invalid specs of the tsmesh kinds: crds.test.ts; certificates: certificates.test.ts.)
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { createRoot } from '../../operator/ca/authority.ts';
import { echo, http } from '../support/calls.ts';
import { apply, getJson, kubectl, tryKubectl } from '../support/kubectl.ts';
import {
  applyEcho,
  createNamespace,
  deleteNamespace,
  deployEcho,
  eventMessage,
} from '../support/namespaces.ts';
import { operatorIsReady, restartOperator, systemNamespace } from '../support/operator.ts';
import { condition, program, resource, type ConditionView } from '../support/policies.ts';

const namespace = 't-bad';
const client = { namespace, app: 'client' };

/** Message of the ReplicaSet's FailedCreate Event for a Deployment that cannot make pods. */
async function refusedPod(name: string, more: object): Promise<string> {
  await applyEcho(namespace, { name, ...more });
  const message = await waitFor(`FailedCreate of ${name}`, 30_000, async () => {
    const { items } = await getJson<{
      items: { reason: string; message: string; involvedObject: { name: string } }[];
    }>('events', '-n', namespace);
    return items.find(
      (event) => event.reason === 'FailedCreate' && event.involvedObject.name.startsWith(name),
    )?.message;
  });
  await kubectl('delete', 'deployment', name, '-n', namespace);
  return message;
}

async function conditionOf(name: string, type: string): Promise<ConditionView> {
  const where = { kind: 'TrafficPolicy', namespace, name };
  return waitFor(`${type} of ${name}`, 30_000, () => condition(where, type));
}

/** A CA that ended long ago, as the data of the CA Secret. */
function expiredCa(): Record<string, string> {
  const made = createRoot('cluster.local', 86_400_000, Date.parse('2025-01-01T00:00:00Z'));
  const base64 = (pem: string): string => Buffer.from(pem).toString('base64');
  return {
    'tls.crt': base64(made.chainPem),
    'tls.key': base64(made.keyPem),
    'ca.crt': base64(made.rootsPem),
  };
}

describe('bad input', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      deployEcho(namespace, { name: 'server' }),
    ]);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it('refuses an unknown value of the namespace annotation, naming the valid ones', async () => {
    const args = ['annotate', '--overwrite', 'namespace', namespace, 'tsmesh.dev/inject=maybe'];
    const result = await tryKubectl(args);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/tsmesh\.dev\/inject.*maybe.*enabled.*disabled/s);
  });

  it('refuses to mesh kube-system', async () => {
    const args = ['annotate', 'namespace', 'kube-system', 'tsmesh.dev/inject=enabled'];
    const result = await tryKubectl(args);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('kube-system');
  });

  it('tells how many running pods need a restart, and the command', async () => {
    const late = 't-bad-late';
    await createNamespace(late, false);
    await deployEcho(late, { name: 'early' });
    const result = await tryKubectl(['annotate', 'namespace', late, 'tsmesh.dev/inject=enabled']);
    expect(result.stderr).toMatch(/Warning: 1 .*pod/);
    expect(result.stderr).toContain(`kubectl -n ${late} rollout restart`);
    await deleteNamespace(late);
  }, 180_000);

  it.each([
    ['tsmesh.dev/log-level', 'loud', /error.*warn.*info.*debug/s],
    ['tsmesh.dev/exclude-outbound-ports', '80,http', /1 to 65535/],
    ['tsmesh.dev/exclude-outbound-cidrs', '10.0.0.0/33', /CIDR|prefix|network/i],
    ['tsmesh.dev/log-levle', 'info', /tsmesh\.dev\/log-level/],
  ])('refuses pods with %s=%s, saying what is valid', async (annotation, value, valid) => {
    const name = `wrong-${value.replaceAll(/[^a-z]/g, '')}x`;
    const message = await refusedPod(name, { annotations: { [annotation]: value } });
    expect(message).toContain(annotation);
    expect(message).toMatch(valid);
  });

  it("refuses a container with the proxy's user id, and says so in an Event", async () => {
    const container = { securityContext: { runAsUser: 15086 } };
    expect(await refusedPod('clash', { container })).toContain('15086');
    expect(await eventMessage(namespace, 'InjectionRefused')).toBeDefined();
  });

  it('says in an Event why a pod got no sidecar', async () => {
    await deployEcho(namespace, {
      name: 'without',
      annotations: { 'tsmesh.dev/inject': 'disabled' },
    });
    expect(await eventMessage(namespace, 'InjectionSkipped')).toContain(
      'tsmesh.dev/inject=disabled',
    );
  });

  it('answers 500 for the share of a backend that does not exist, and names it', async () => {
    const routes = [
      { matches: [{ path: { prefix: '/gone' } }], backends: [{ service: 'nobody' }] },
      { matches: [{ path: { prefix: '/empty' } }], backends: [{ subset: 'v9' }] },
      { mirrors: [{ service: 'nobody' }] },
    ];
    const subsets = [{ name: 'v9', labels: { version: 'v9' } }];
    const spec = { service: { name: 'server' }, subsets, routes };
    await program('TrafficPolicy', namespace, 'broken', spec);
    const [gone, empty, rest] = await Promise.all([
      http(client, 'http://server/gone'),
      http(client, 'http://server/empty'),
      http(client, 'http://server/'),
    ]);
    expect(gone.status).toBe(500);
    expect(gone.body).toContain(`Service ${namespace}/nobody`);
    expect(empty.status).toBe(503);
    expect(rest.status).toBe(200);
    const refs = await conditionOf('broken', 'ResolvedRefs');
    expect(refs).toMatchObject({ status: 'False', reason: 'BackendNotFound' });
    expect(refs.message).toContain('spec.routes[0].backends[0].service');
    expect(refs.message).toContain('no pod of Service t-bad/server has the labels of subset v9');
    expect(refs.message).toContain('spec.routes[2].mirrors[0].service');
  }, 120_000);

  it('tells the younger of two policies for one Service which one holds', async () => {
    const late = { service: { name: 'server' }, timeout: '1s' };
    await apply(resource('TrafficPolicy', namespace, 'late', late));
    const verdict = await conditionOf('late', 'Accepted');
    expect(verdict).toMatchObject({ status: 'False', reason: 'Conflicted' });
    expect(verdict.message).toContain('TrafficPolicy broken holds for the same Service');
    expect(await conditionOf('late', 'Programmed')).toMatchObject({ status: 'False' });
    await kubectl('delete', 'trafficpolicies', 'late', 'broken', '-n', namespace);
  }, 120_000);

  it('says that a policy for an ExternalName holds nowhere', async () => {
    const spec = { type: 'ExternalName', externalName: 'shop.example' };
    const metadata = { name: 'named', namespace };
    await apply(JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata, spec }));
    const policy = { service: { name: 'named' }, timeout: '1s' };
    await apply(resource('TrafficPolicy', namespace, 'named', policy));
    const refs = await conditionOf('named', 'ResolvedRefs');
    expect(refs).toMatchObject({ status: 'False', reason: 'ExternalNameService' });
  }, 120_000);

  it('warns at once of a route that nobody ever takes', async () => {
    const spec = { service: { name: 'server' }, routes: [{}, { timeout: '1s' }] };
    const text = resource('TrafficPolicy', namespace, 'shadow', spec);
    const result = await tryKubectl(['apply', '--dry-run=server', '-f', '-'], text);
    expect(result.code).toBe(0);
    expect(result.stderr).toContain('Warning: spec.routes[1] is never used');
  });

  it('with an expired CA: says so in the Mesh, keeps traffic, and recovers with the former CA', async () => {
    const where = ['secret', 'tsmesh-ca', '-n', systemNamespace];
    const former = await getJson<{ data: Record<string, string> }>(...where);
    const put = async (data: Record<string, string>): Promise<void> => {
      const patch = JSON.stringify({ data });
      await kubectl('patch', ...where, '--type=merge', '-p', patch);
    };
    await put(expiredCa());
    try {
      await restartOperator();
      const ready = await waitFor('CAReady=False', 60_000, async () => {
        const mesh = { kind: 'Mesh', namespace: '', name: 'default' };
        const now = await condition(mesh, 'CAReady');
        return now?.status === 'False' && now;
      });
      expect(ready.reason).toBe('CAExpired');
      expect(ready.message).toContain('2025-01-02');
      expect((await echo(client, 'http://server/')).caller).toContain('/sa/client');
    } finally {
      await put(former.data);
      await restartOperator();
      await operatorIsReady();
    }
    await kubectl('wait', '--for=condition=CAReady', 'mesh/default', '--timeout=60s');
    await deployEcho(namespace, { name: 'after' });
    expect((await echo(client, 'http://after/')).service).toBe('after');
  }, 300_000);
});
