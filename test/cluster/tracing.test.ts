// Traces as a real OpenTelemetry Collector receives them: field by field from two sidecars on this machine, over both kinds of
// OTLP; and from pods of the mesh, whose collector is one of its Services and lets nobody in without mutual TLS.
import http from 'node:http';
import { basename, dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { ensureOtelCollector } from '../../hack/tools/otel-collector.ts';
import {
  collectorConfig,
  spansIn,
  startCollector,
  type CollectedSpan,
  type Collector,
} from '../support/collector.ts';
import { echo, type Caller } from '../support/calls.ts';
import { testImage } from '../support/image.ts';
import { apply, kubectl } from '../support/kubectl.ts';
import { callMany, call as callOnce, listenOn, startPair } from '../support/mesh-pair.ts';
import { createNamespace, deleteNamespace, deployEcho, rolledOut } from '../support/namespaces.ts';
import { program, programmed } from '../support/policies.ts';
import { workload } from '../support/sidecar.ts';

describe('a real collector', () => {
  let collector: Collector | undefined;
  beforeAll(async () => {
    collector = await startCollector();
  }, 900_000);
  afterAll(() => collector?.close());

  it.each(['grpc', 'http'] as const)(
    'takes all that sidecars send over OTLP/%s',
    async (protocol) => {
      const app = http.createServer((request, response) => {
        response.statusCode = request.url === '/wrong' ? 503 : 200;
        response.end('app');
      });
      const tracing = {
        collector: { protocol, endpoint: collector![protocol] },
        sampling: 0,
        samplingOfPorts: {},
        resource: { 'service.name': `cart-${protocol}`, 'k8s.node.name': 'knöten' },
      };
      const pair = await startPair(await listenOn(app), { tracing });
      try {
        pair.caller.registry.value = 'none';
        pair.caller.apply({ ...workload(), tracing });
        const { port } = pair.caller.outbound.address;
        const own = () =>
          collector!
            .spans()
            .filter(({ resource }) => resource['service.name'] === `cart-${protocol}`);
        const traceId = 'ab'.repeat(16);
        const traceparent = `00-${traceId}-${'cd'.repeat(8)}-01`;
        const headers = {
          traceparent,
          tracestate: 'vendor=x',
          host: 'cart.shop',
          'user-agent': 'ä',
        };
        await callOnce({ port, path: '/wrong', headers });
        await callMany(1000, { port, headers: { b3: `${traceId}-${'ef'.repeat(8)}-1` } });
        await waitFor('all spans', 20_000, async () => own().length >= 2002);
        const spans = own();
        expect(spans).toHaveLength(2002);
        const [client, server] = (['client', 'server'] as const).map((kind) =>
          spans.find((one) => one.kind === kind && one.failed),
        );
        expect(client).toMatchObject({
          traceId,
          parentSpanId: 'cd'.repeat(8),
          traceState: 'vendor=x',
          name: 'GET',
          attributes: { 'http.response.status_code': 503, 'url.path': '/wrong', 'server.port': 80 },
          resource: tracing.resource,
          scope: { name: 'tsmesh' },
        });
        expect(server).toMatchObject({ traceId, parentSpanId: client!.spanId });
        expect(server!.end - server!.start).toBeLessThanOrEqual(client!.end - client!.start);
        const parents = new Set(spans.filter(({ kind }) => kind === 'client').map(idOf));
        const callees = spans.filter(({ kind }) => kind === 'server');
        expect(callees.every(({ parentSpanId }) => parents.has(parentSpanId))).toBe(true);
        expect(new Set(spans.map(idOf)).size).toBe(spans.length);
      } finally {
        pair.close();
        app.close();
        app.closeAllConnections();
      }
    },
    60_000,
  );
});

function idOf({ spanId }: CollectedSpan): string {
  return spanId;
}

const namespace = 't-tracing';
const caller: Caller = { namespace, app: 'caller' };

describe('the mesh', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await program('PeerAuthentication', namespace, 'default', { mtls: { mode: 'STRICT' } });
    await Promise.all([
      deployCollector(await ensureOtelCollector()),
      deployEcho(namespace, { name: 'web' }),
      deployEcho(namespace, { name: 'caller' }),
    ]);
  }, 900_000);
  afterAll(async () => {
    await tellMesh(null);
    await deleteNamespace(namespace);
  }, 240_000);

  it('sends spans to a Service of its own that asks for mutual TLS, of callers and callees', async () => {
    await tellMesh({ endpoint: `http://collector.${namespace}:4317`, sampling: 100 });
    const traceparent = await traceOf('http://web/hello');
    expect(traceparent).toMatch(/-01$/);
    const traceId = traceparent.slice(3, 35);
    const spans = await spansOf(traceId, 2);
    const [client, server] = (['client', 'server'] as const).map((kind) =>
      spans.find((one) => one.kind === kind)!,
    );
    expect(client).toMatchObject({
      parentSpanId: '',
      resource: { 'service.name': 'caller', 'k8s.deployment.name': 'caller' },
      attributes: {
        'server.address': 'web',
        'url.path': '/hello',
        'tsmesh.destination': `web.${namespace}:80`,
        'tsmesh.peer.identity': `spiffe://cluster.local/ns/${namespace}/sa/web`,
      },
    });
    expect(server).toMatchObject({
      parentSpanId: client!.spanId,
      resource: { 'service.name': 'web', 'service.namespace': namespace },
      attributes: { 'tsmesh.peer.identity': `spiffe://cluster.local/ns/${namespace}/sa/caller` },
    });
  });

  it('samples what a policy says of its Service, changes to OTLP over HTTP live, and stops when told', async () => {
    await tellMesh({
      endpoint: `http://collector.${namespace}:4318`,
      protocol: 'http',
      sampling: 0,
    });
    expect(await traceOf('http://web/none')).toMatch(/-00$/);
    await program('TrafficPolicy', namespace, 'web', {
      service: { name: 'web' },
      tracing: { sampling: 100 },
    });
    const traceparent = await traceOf('http://web/some');
    expect(traceparent).toMatch(/-01$/);
    expect(await spansOf(traceparent.slice(3, 35), 2)).toHaveLength(2);
    await tellMesh(null);
    expect(await traceOf('http://web/off')).toBe('');
  });

  it('refuses a collector that cannot be one, where its author looks', async () => {
    const patch = JSON.stringify({ spec: { tracing: { endpoint: 'collector:4317' } } });
    await expect(kubectl('patch', 'mesh', 'default', '--type=merge', '-p', patch)).rejects.toThrow(
      /spec\.tracing\.endpoint.*must be a URL such as http/s,
    );
  });
});

/** The traceparent that the app got; empty: none. */
async function traceOf(url: string): Promise<string> {
  const { headers } = await echo(caller, url);
  const at = headers.findIndex((name, index) => index % 2 === 0 && name === 'traceparent');
  return at < 0 ? '' : headers[at + 1]!;
}

async function tellMesh(tracing: object | null): Promise<void> {
  const patch = JSON.stringify({ spec: { tracing } });
  await kubectl('patch', 'mesh', 'default', '--type=merge', '-p', patch);
  await programmed('Mesh', '', 'default');
}

async function spansOf(traceId: string, count: number): Promise<CollectedSpan[]> {
  return await waitFor(`${count} spans of ${traceId}`, 30_000, async () => {
    const all = (await collected()).filter((one) => one.traceId === traceId);
    return all.length >= count && all;
  });
}

const spanFile = '/spans/spans.jsonl';

async function collected(): Promise<CollectedSpan[]> {
  const read = `process.stdout.write(require('fs').readFileSync('${spanFile}'))`;
  const where = ['-n', namespace, 'deploy/collector', '-c', 'collector'];
  return spansIn(await kubectl('exec', ...where, '--', 'node', '-e', read));
}

/** The program as it lies in the cache of this machine, which is the node. */
async function deployCollector(file: string): Promise<void> {
  const meta = { name: 'collector', namespace };
  const labels = { app: 'collector' };
  const config = collectorConfig('0.0.0.0:4317', '0.0.0.0:4318', spanFile);
  const container = {
    name: 'collector',
    image: testImage(),
    command: [`/collector/${basename(file)}`],
    args: ['--config', 'file:/config/config.yaml'],
    readinessProbe: { tcpSocket: { port: 4318 }, periodSeconds: 1 },
    volumeMounts: [
      { name: 'collector', mountPath: '/collector', readOnly: true },
      { name: 'config', mountPath: '/config' },
      { name: 'spans', mountPath: '/spans' },
    ],
  };
  const volumes = [
    { name: 'collector', hostPath: { path: dirname(file), type: 'Directory' } },
    { name: 'config', configMap: { name: 'collector' } },
    { name: 'spans', emptyDir: {} },
  ];
  const items = [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta, data: { 'config.yaml': config } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta,
      spec: {
        selector: labels,
        ports: [
          { name: 'otlp', port: 4317, appProtocol: 'grpc' },
          { name: 'otlp-web', port: 4318 },
        ],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: meta,
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [container], volumes, securityContext: { fsGroup: 1000 } },
        },
      },
    },
  ];
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await rolledOut(namespace, 'collector');
}
