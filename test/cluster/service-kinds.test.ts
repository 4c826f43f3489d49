// Every kind of Service that Kubernetes has, called from the mesh under STRICT: what answers a caller's identity came over
// mutual TLS. The table of them is docs/services.md.
import { createServer as createHttpServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { echo, grpc, http, runLoad, tcp } from '../support/calls.ts';
import { testImage } from '../support/image.ts';
import { apply, getJson, kubectl } from '../support/kubectl.ts';
import { metric, metricsOf } from '../support/metrics.ts';
import {
  applyEcho,
  createNamespace,
  deleteNamespace,
  deployEcho,
  podsOf,
  rolledOut,
} from '../support/namespaces.ts';
import { outsidePlace, type OutsidePlace } from '../support/outside-place.ts';
import { condition, program, resource } from '../support/policies.ts';

const namespace = 't-kinds';
const client = { namespace, app: 'client' };
const callerId = `spiffe://cluster.local/ns/${namespace}/sa/client`;

interface PortSpec {
  name: string;
  port: number;
  targetPort: number | string;
}
const web: PortSpec = { name: 'web', port: 80, targetPort: 8080 };
const line: PortSpec = { name: 'line', port: 7001, targetPort: 7001 };

function object(kind: string, name: string, rest: object, apiVersion = 'v1'): object {
  return { apiVersion, kind, metadata: { name, namespace }, ...rest };
}

function service(name: string, spec: object): object {
  return object('Service', name, { spec: { ports: [web, line], ...spec } });
}

const of = (app: string) => ({ selector: { app } });

/** The slice of a Service without selector. */
function slice(name: string, address: string, ports: { name: string; port: number }[]): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports,
  };
}

function applyAll(...items: object[]): Promise<string> {
  return apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

/** Answers `late` at a port of its own, which it names as the echo server does its 8080. */
const otherNumber = `require('node:http').createServer((request, response) =>
  response.end(JSON.stringify({ service: 'late', caller: request.headers['tsmesh-client-identity'] })))
  .listen(9080);`;

function statefulSet(): object {
  const container = { name: 'app', image: testImage(), args: ['echo'] };
  const readinessProbe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 };
  const env = [{ name: 'SERVICE', value: 'db' }];
  const template = {
    metadata: { labels: { app: 'db' } },
    spec: { containers: [{ ...container, readinessProbe, env }] },
  };
  const selector = { matchLabels: { app: 'db' } };
  const spec = {
    serviceName: 'db',
    replicas: 2,
    podManagementPolicy: 'Parallel',
    selector,
    template,
  };
  return object('StatefulSet', 'db', { spec }, 'apps/v1');
}

const neverReady = { exec: { command: ['node', '-e', 'process.exit(1)'] }, periodSeconds: 60 };
const named = (port: number) => [{ name: 'named', containerPort: port }];

async function deployAll(): Promise<void> {
  await applyAll(
    statefulSet(),
    service('db', { ...of('db'), clusterIP: 'None' }),
    service('second', of('server')),
    service('both', { ...of('server'), ipFamilyPolicy: 'RequireDualStack' }),
    service('newer', { ...of('server'), ipFamilies: ['IPv6'] }),
    service('alias', {
      type: 'ExternalName',
      externalName: `server.${namespace}.svc.cluster.local`,
    }),
    service('unready', { ...of('early'), clusterIP: 'None' }),
    service('published', { ...of('early'), clusterIP: 'None', publishNotReadyAddresses: true }),
    service('numbers', {
      selector: { group: 'numbers' },
      ports: [{ ...web, targetPort: 'named' }],
    }),
    service('moving', { selector: { app: 'pair', version: 'v1' } }),
    service('sticky', { ...of('pair'), sessionAffinity: 'ClientIP' }),
  );
  const late = { command: ['node', '-e', otherNumber], readinessProbe: undefined };
  await applyEcho(namespace, { name: 'early', container: { readinessProbe: neverReady } });
  await Promise.all([
    deployEcho(namespace, { name: 'client' }),
    deployEcho(namespace, { name: 'server' }),
    deployEcho(namespace, { name: 'pair', version: 'v1' }),
    deployEcho(namespace, { name: 'pair-v2', service: 'pair', version: 'v2' }),
    deployEcho(namespace, {
      name: 'named',
      labels: { group: 'numbers' },
      container: { ports: named(8080) },
    }),
    deployEcho(namespace, {
      name: 'late',
      labels: { group: 'numbers' },
      container: { ...late, ports: named(9080) },
    }),
    deployEcho(namespace, {
      name: 'leaving',
      pod: { terminationGracePeriodSeconds: 25 },
      container: { lifecycle: { preStop: { sleep: { seconds: 20 } } } },
    }),
  ]);
  await kubectl('-n', namespace, 'rollout', 'status', 'statefulset/db', '--timeout=120s');
}

let outside: OutsidePlace;

describe('from a meshed pod under STRICT,', () => {
  beforeAll(async () => {
    const server = createHttpServer((_request, response) => response.end('from outside'));
    outside = await outsidePlace(server);
    await createNamespace(namespace, true);
    await program('PeerAuthentication', namespace, 'strict', { mtls: { mode: 'STRICT' } });
    await deployAll();
  }, 240_000);
  afterAll(async () => {
    outside.close();
    await deleteNamespace(namespace);
  }, 240_000);

  /** HTTP and TCP reach this pod, and it is told who calls. */
  async function reaches(host: string, pod: string, httpPort = 80): Promise<void> {
    const answer = await echo(client, `http://${host}:${httpPort}/`);
    expect([answer.pod, answer.caller]).toEqual([pod, callerId]);
    const { received } = await tcp(client, `${host}:7001`, '--send', '!hello');
    expect(received).toBe(`${pod} hello\r\n`);
  }

  async function podNamed(app: string): Promise<{ name: string; ip: string }> {
    const [pod] = await podsOf(namespace, `app=${app}`);
    return pod!;
  }

  it('each port of a Service leads to its own, of whatever protocol and number', async () => {
    const { name } = await podNamed('server');
    await reaches('server', name);
    const unary = await grpc(client, 'server:9090', 'Unary', 'hello');
    expect(JSON.parse(unary.messages[0] ?? '{}')).toMatchObject({ caller: callerId });
    expect((await tcp(client, 'server:7000')).received).toBe(`220 server ${name} ready\r\n`);
  });

  it('a second Service over the same pods is one as well', async () => {
    await reaches('second', (await podNamed('server')).name);
    const text = await metricsOf(client, client);
    const seen = metric(text, 'tsmesh_requests_mtls_total', `destination="second.${namespace}:80"`);
    expect(seen).toBeGreaterThan(0);
  });

  it('the address of a pod is that pod exactly', async () => {
    for (const pod of await podsOf(namespace, 'app=pair')) await reaches(pod.ip, pod.name, 8080);
  });

  it('a Service of two families is itself at both addresses, one of IPv6 alone at its name', async () => {
    const { name } = await podNamed('server');
    const { spec } = await getJson<AddressesOfService>('service', 'both', '-n', namespace);
    const hosts = spec.clusterIPs.map((one) => (one.includes(':') ? `[${one}]` : one));
    expect(hosts.map((host) => host.startsWith('['))).toEqual([false, true]);
    for (const host of [...hosts, 'both', 'newer']) await reaches(host, name);
    await program('TrafficPolicy', namespace, 'both', {
      service: { name: 'both' },
      routes: [{ name: 'fixed', directResponse: { status: 418 } }],
    });
    for (const host of hosts) expect((await http(client, `http://${host}/`)).status).toBe(418);
    await reaches('newer', name);
  });

  it('the IPv6 address of a pod is that pod exactly', async () => {
    for (const { name } of await podsOf(namespace, 'app=pair')) {
      const { status } = await getJson<AddressesOfPod>('pod', name, '-n', namespace);
      const ip = status.podIPs.map((one) => one.ip).find((one) => one.includes(':'));
      await reaches(`[${ip}]`, name, 8080);
    }
  });

  it('the name of a StatefulSet pod is that pod, and its headless Service all of them', async () => {
    for (const pod of ['db-0', 'db-1']) await reaches(`${pod}.db`, pod, 8080);
    expect((await echo(client, 'http://db:8080/')).caller).toBe(callerId);
  });

  it('a headless Service without ready pods has no name, unless it publishes what is not ready', async () => {
    const { name } = await podNamed('early');
    await waitFor('an app that is never ready', 60_000, async () => {
      return (await http(client, 'http://published:8080/')).status === 200;
    });
    await reaches('published', name, 8080);
    expect((await http(client, 'http://unready:8080/')).error).toContain('ENOTFOUND');
  }, 90_000);

  it('a named port is what each pod calls so', async () => {
    const found = new Set<string>();
    for (let i = 0; i < 100 && found.size < 2; i += 1) {
      const { service: name, caller } = await echo(client, 'http://numbers/');
      expect(caller).toBe(callerId);
      found.add(name);
    }
    expect([...found].toSorted()).toEqual(['late', 'named']);
  }, 60_000);

  it('a pod reaches itself through its Service, without a detour', async () => {
    const self = { namespace, app: 'server' };
    const { name, ip } = await podNamed('server');
    const answer = await echo(self, 'http://server/');
    expect(answer).toMatchObject({ pod: name, localAddress: expect.stringContaining(ip) });
    expect((await tcp(self, 'server:7000')).received).toBe(`220 server ${name} ready\r\n`);
    const unary = await grpc(self, 'server:9090', 'Unary', 'hello');
    expect(unary.grpcStatus).toBe('0');
    expect((await echo(self, `http://${ip}:8080/`)).pod).toBe(name);
  });

  it('an ExternalName that leads into the mesh is what it leads to', async () => {
    await reaches('alias', (await podNamed('server')).name);
  });

  it('a policy on an ExternalName says that it cannot hold', async () => {
    const spec = { service: { name: 'alias' }, timeout: '1s' };
    await apply(resource('TrafficPolicy', namespace, 'alias', spec));
    const where = { kind: 'TrafficPolicy', namespace, name: 'alias' };
    const said = await waitFor('its status', 20_000, () => condition(where, 'ResolvedRefs'));
    expect(said).toMatchObject({ status: 'False', reason: 'ExternalNameService' });
    expect(await echo(client, 'http://alias/')).toMatchObject({ service: 'server' });
  });

  it('a Service without selector leads outside, or to pods, with their identity', async () => {
    const { ip, name } = await podNamed('server');
    const ports = [{ name: 'web', port: 8080 }];
    await applyAll(
      service('beyond', {}),
      slice('beyond', outside.address, [{ name: 'web', port: outside.port }]),
      service('by-hand', {}),
      slice('by-hand', ip, [...ports, { name: 'line', port: 7001 }]),
    );
    const answered = async (): Promise<boolean> =>
      (await http(client, 'http://beyond/')).body === 'from outside';
    await waitFor('the outside through a Service', 20_000, answered);
    await reaches('by-hand', name);
  }, 60_000);

  it('an ExternalName that leads outside passes through as it is', async () => {
    await applyAll(
      service('far', { clusterIP: 'None' }),
      slice('far', outside.address, [{ name: 'web', port: outside.port }]),
      service('afar', { type: 'ExternalName', externalName: `far.${namespace}.svc.cluster.local` }),
    );
    await waitFor('its name', 20_000, async () => {
      return (await http(client, `http://afar:${outside.port}/`)).body === 'from outside';
    });
    const text = await metricsOf(client, client);
    const labels = ['host="afar"', `port="${outside.port}"`, 'by="host"'];
    expect(metric(text, 'tsmesh_outside_connections_total', ...labels)).toBeGreaterThan(0);
  }, 60_000);

  it('a Service follows its selector', async () => {
    expect((await echo(client, 'http://moving/')).version).toBe('v1');
    const spec = JSON.stringify({ spec: { selector: { app: 'pair', version: 'v2' } } });
    await kubectl('-n', namespace, 'patch', 'service', 'moving', '-p', spec);
    await waitFor('the other version', 20_000, async () => {
      return (await echo(client, 'http://moving/')).version === 'v2';
    });
    const { byVersion } = await runLoad(client, 'http://moving/healthz', '--requests', '50');
    expect(byVersion).toEqual({ v2: 50 });
  }, 60_000);

  it('a Service with sessionAffinity keeps its callers at one pod', async () => {
    const args = ['--requests', '200', '--concurrency', '8'];
    const { byVersion } = await runLoad(client, 'http://sticky/healthz', ...args);
    expect(Object.values(byVersion)).toEqual([200]);
    const lines = new Set<string>();
    for (let i = 0; i < 6; i += 1) {
      lines.add((await tcp(client, 'sticky:7001', '--send', '!hello')).received);
    }
    expect(lines.size).toBe(1);
  }, 60_000);

  it('a Service whose pods are all gone says so, and answers again when one is back', async () => {
    const scale = (replicas: number): Promise<string> =>
      kubectl('-n', namespace, 'scale', 'deployment/pair-v2', `--replicas=${replicas}`);
    await scale(0);
    const refused = await waitFor('the end of the last pod', 60_000, async () => {
      const answer = await http(client, 'http://moving/');
      return answer.body.includes('no ready endpoint') ? answer : undefined;
    });
    expect(refused.status).toBe(503);
    expect((await tcp(client, 'moving:7001', '--send', '!hello')).received).toBe('');
    await scale(1);
    await rolledOut(namespace, 'pair-v2');
    await waitFor('the new pod', 20_000, async () => {
      return (await http(client, 'http://moving/')).status === 200;
    });
  }, 120_000);

  it('a Service all of whose pods are going is served by them as long as they serve', async () => {
    const { name } = await podNamed('leaving');
    await reaches('leaving', name);
    await kubectl('-n', namespace, 'scale', 'deployment/leaving', '--replicas=0');
    await waitFor('the end of readiness', 30_000, async () => {
      const slices = await getJson<Slices>('endpointslices', '-n', namespace, '-l', leavingSlices);
      return slices.items.some(({ endpoints }) => endpoints?.[0]?.conditions.terminating === true);
    });
    const load = await runLoad(client, 'http://leaving/healthz', '--seconds', '5', '--rate', '40');
    expect(load.errors).toEqual([]);
    expect(load.requests).toBeGreaterThan(100);
    expect((await tcp(client, 'leaving:7001', '--send', '!hello')).received).toContain(name);
  }, 90_000);
});

const leavingSlices = 'kubernetes.io/service-name=leaving';

interface AddressesOfService {
  spec: { clusterIPs: string[] };
}

interface AddressesOfPod {
  status: { podIPs: { ip: string }[] };
}

interface Slices {
  items: { endpoints: { conditions: { terminating?: boolean } }[] | null }[];
}
