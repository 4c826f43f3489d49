// Who is not in the mesh and calls it all the same, under STRICT: each with the refusal it gets and its way
// out. And what of the mesh's own installation the API server and the kubelet say.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { repository } from '../../hack/lib/paths.ts';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, http, tcp } from '../support/calls.ts';
import { apply, getJson, kubectl, tryKubectl } from '../support/kubectl.ts';
import {
  createNamespace,
  deleteNamespace,
  deployEcho,
  eventMessage,
  podsOf,
} from '../support/namespaces.ts';
import { program } from '../support/policies.ts';

const meshed = 't-isolation';
const outside = 't-isolation-outside';
const strict = `PeerAuthentication ${meshed}/strict`;
const stranger = { namespace: outside, app: 'stranger' };
const ingress = { namespace: outside, app: 'ingress' };
const hostPort = 18_080;
const scrape = {
  'prometheus.io/scrape': 'true',
  'prometheus.io/port': '8080',
  'prometheus.io/path': '/stats',
};

interface Places {
  node: string;
  nodePort: number;
  pod: string;
  open: string;
}
let places: Places;

async function findPlaces(): Promise<Places> {
  const [pod] = await podsOf(meshed, 'app=server');
  const [open] = await podsOf(meshed, 'app=open');
  const service = await getJson<{ spec: { ports: { nodePort: number }[] } }>(
    'service',
    'server-node',
    '-n',
    meshed,
  );
  const { status } = await getJson<{ status: { hostIP: string } }>('pod', pod!.name, '-n', meshed);
  return {
    node: status.hostIP,
    nodePort: service.spec.ports[0]!.nodePort,
    pod: pod!.ip,
    open: open!.ip,
  };
}

/** PERMISSIVE for one port of one workload, which is how a caller without a sidecar is let in. */
function letIn(mode: 'PERMISSIVE' | 'DISABLE'): Promise<void> {
  return program('PeerAuthentication', meshed, 'exception', {
    selector: { matchLabels: { app: 'server' } },
    portLevelMtls: { '8080': { mode } },
  });
}

async function noExceptions(): Promise<void> {
  await kubectl('delete', 'peerauthentication', 'exception', '-n', meshed, '--ignore-not-found');
  await waitFor('the end of the exception', 30_000, async () => {
    return (await http(stranger, `http://server.${meshed}/`)).status === 403;
  });
}

function kindOf(name: string): object {
  return { group: '', version: 'v1', kind: name, resource: name };
}

/** What the operator's webhook answers to a pod that is not the API server. */
async function review(path: string, request: object): Promise<string> {
  const body = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request };
  const script = `
    const request = require('node:https').request({
      host: 'tsmesh-operator.tsmesh-system.svc.cluster.local', port: 443, method: 'POST',
      path: ${JSON.stringify(path)}, rejectUnauthorized: false,
    }, (response) => response.pipe(process.stdout));
    request.end(${JSON.stringify(JSON.stringify(body))});`;
  const [pod] = await podsOf(outside, 'app=stranger');
  return await kubectl('exec', '-n', outside, pod!.name, '-c', 'app', '--', 'node', '-e', script);
}

describe('a caller outside the mesh, under STRICT,', () => {
  beforeAll(async () => {
    await Promise.all([createNamespace(meshed, true), createNamespace(outside, false)]);
    await program('PeerAuthentication', meshed, 'strict', { mtls: { mode: 'STRICT' } });
    await apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'server-node', namespace: meshed },
        spec: {
          type: 'NodePort',
          selector: { app: 'server' },
          ports: [{ port: 80, targetPort: 8080 }],
        },
      }),
    );
    const ports = [{ containerPort: 8080, hostPort }];
    await Promise.all([
      deployEcho(meshed, { name: 'server', container: { ports }, annotations: scrape }),
      deployEcho(meshed, {
        name: 'open',
        annotations: { 'tsmesh.dev/exclude-inbound-ports': '8080' },
      }),
      deployEcho(outside, { name: 'stranger' }),
      deployEcho(outside, { name: 'ingress' }),
    ]);
    places = await findPlaces();
  }, 240_000);
  afterAll(() => Promise.all([deleteNamespace(meshed), deleteNamespace(outside)]), 240_000);

  it.each([
    ['an ingress without a sidecar', () => `http://server.${meshed}/`],
    ['through a NodePort', () => `http://${places.node}:${places.nodePort}/`],
    ['through a hostPort', () => `http://${places.node}:${hostPort}/`],
    ['at the address of the pod', () => `http://${places.pod}:8080/`],
  ])('%s, is refused in words', async (_who, url) => {
    const answer = await http(stranger, url());
    expect(answer.status).toBe(403);
    expect(answer.headers['tsmesh-denied-by']).toContain(strict);
  });

  it.each(['PERMISSIVE', 'DISABLE'] as const)('is let in where its port is %s', async (mode) => {
    await letIn(mode);
    for (const url of [
      `http://server.${meshed}/`,
      `http://${places.node}:${places.nodePort}/`,
      `http://${places.node}:${hostPort}/`,
    ]) {
      expect(await echo(stranger, url)).toMatchObject({ service: 'server', caller: null });
    }
    await noExceptions();
  });

  it('has the address of the node for ipBlocks where it comes through a NodePort', async () => {
    await letIn('PERMISSIVE');
    const [caller] = await podsOf(outside, 'app=stranger');
    await program('AuthorizationPolicy', meshed, 'not-the-stranger', {
      selector: { matchLabels: { app: 'server' } },
      action: 'DENY',
      rules: [{ from: [{ ipBlocks: [`${caller!.ip}/32`] }] }],
    });
    const direct = await http(stranger, `http://server.${meshed}/`);
    expect([direct.status, direct.headers['tsmesh-denied-by']]).toEqual([
      403,
      expect.stringContaining('not-the-stranger'),
    ]);
    const through = await http(stranger, `http://${places.node}:${places.nodePort}/`);
    expect(through.status).toBe(200);
    await kubectl('delete', 'authorizationpolicy', 'not-the-stranger', '-n', meshed);
    await noExceptions();
  });

  it('is let in at a port that is excluded from capture', async () => {
    expect(await echo(stranger, `http://${places.open}:8080/`)).toMatchObject({ service: 'open' });
  });

  it('is known by its identity once it is meshed, as an ingress should be', async () => {
    await deployEcho(outside, { name: 'ingress', labels: { 'tsmesh.dev/inject': 'enabled' } });
    const answer = await echo(ingress, `http://server.${meshed}/`);
    expect(answer.caller).toContain(`/ns/${outside}/sa/ingress`);
    const edge = await http(stranger, `http://ingress.${outside}/`);
    expect(edge.status).toBe(200);
  });

  it('is a load balancer that checks health: by connecting, or at the health port', async () => {
    const connected = await tcp(stranger, `${places.node}:${places.nodePort}`, '--timeout', '500');
    expect(connected.error ?? '').not.toMatch(/ECONNREFUSED/);
    expect((await http(stranger, `http://${places.pod}:15020/ready`)).status).toBe(200);
  });

  it('is Prometheus, which reads the app’s metrics where the pod says: at the health port', async () => {
    const [pod] = await podsOf(meshed, 'app=server');
    const { metadata } = await getJson<{ metadata: { annotations: Record<string, string> } }>(
      'pod',
      pod!.name,
      '-n',
      meshed,
    );
    const port = metadata.annotations['prometheus.io/port'];
    const path = metadata.annotations['prometheus.io/path'];
    const scraped = await http(stranger, `http://${places.pod}:${port}${path}`);
    expect(scraped.status).toBe(200);
    expect(scraped.body).toMatch(/^tsmesh_/m);
    expect(scraped.body).toContain('tsmesh_app_metrics_up 1');
    // The echo server says what it was asked.
    expect(scraped.body).toContain('"path":"/stats"');
  });

  it('reaches no port of the sidecar but that one', async () => {
    for (const port of [15_001, 15_006]) {
      const answer = await tcp(stranger, `${places.pod}:${port}`, '--send', 'GET / HTTP/1.1');
      expect(answer.received).toBe('');
    }
  });

  it('cannot tell the sidecar to drain', async () => {
    for (const path of ['/drain', '/drained', `/drain/${'0'.repeat(32)}`]) {
      expect((await http(stranger, `http://${places.pod}:15020${path}`)).status).toBe(404);
    }
    expect((await http(stranger, `http://${places.pod}:15020/ready`)).status).toBe(200);
  });

  it('makes the operator do nothing by reviews that it sends to the webhook itself', async () => {
    const invented = {
      uid: 'x',
      operation: 'CREATE',
      kind: kindOf('Pod'),
      resource: kindOf('pods'),
    };
    const pod = (namespace: string, serviceAccountName: string) => ({
      ...invented,
      namespace,
      object: {
        metadata: { name: 'forged', labels: { 'tsmesh.dev/inject': 'enabled' } },
        spec: { serviceAccountName, containers: [{ name: 'app', image: 'x' }] },
      },
    });
    const where = '/mutate/pods';
    expect(await review(where, pod('default', 'default'))).toContain('"allowed":true');
    expect(await review(where, pod(meshed, 'forged'))).toContain('does not exist');
    expect(await review(where, pod('tsmesh-system', 'tsmesh-operator'))).toContain(
      'cannot be meshed',
    );
    const secrets = await kubectl('get', 'secrets', '-A', '-o', 'name');
    expect(secrets).not.toContain('tsmesh-identity-default');
    expect(secrets).not.toContain('tsmesh-identity-forged');
    expect(secrets).not.toContain('tsmesh-identity-tsmesh-operator');
  });

  it('gives the operator no rights in a namespace that nobody meshed', async () => {
    const bindings = await kubectl('get', 'rolebindings', '-A', '-o', 'name');
    expect(bindings).toContain('tsmesh-identity');
    const { code } = await tryKubectl(['get', 'rolebinding', 'tsmesh-identity', '-n', 'default']);
    expect(code).not.toBe(0);
  });
});

describe('the overlay with NetworkPolicies', () => {
  it('builds, and the API server takes it', async () => {
    const overlay = join(repository, 'config/overlays/network-policies');
    const built = await kubectl('kustomize', overlay);
    const policies = built.split(/^---$/m).filter((one) => one.includes('kind: NetworkPolicy'));
    expect(policies).toHaveLength(2);
    const { code, stdout } = await tryKubectl(
      ['apply', '--dry-run=server', '-f', '-'],
      policies.join('---\n'),
    );
    expect([code, stdout.match(/networkpolicy/g)?.length]).toEqual([0, 2]);
  });
});

describe('a namespace that enforces Pod Security', () => {
  const secure = 't-isolation-secure';
  afterAll(() => deleteNamespace(secure), 120_000);

  it('is told in an Event why its pods get no sidecar, and what to do', async () => {
    await deleteNamespace(secure);
    await kubectl('create', 'namespace', secure);
    await kubectl('label', 'namespace', secure, 'pod-security.kubernetes.io/enforce=restricted');
    await kubectl('annotate', 'namespace', secure, 'tsmesh.dev/inject=enabled');
    const message = await eventMessage('default', 'PodSecurityForbidsInjection');
    expect(message).toContain('NET_ADMIN');
    expect(message).toContain('pod-security.kubernetes.io/enforce=privileged');
  }, 60_000);
});
