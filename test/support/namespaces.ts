// Namespaces with the test applications in them: made, meshed or not, and gone at the end.
import { waitFor } from '../../hack/lib/wait.ts';
import { apply, getJson, kubectl, tryKubectl } from './kubectl.ts';
import { testImage } from './image.ts';

export interface EchoOptions {
  name: string;
  replicas?: number;
  version?: string;
  /** Label `app` and Service that it belongs to; default: its name. */
  service?: string;
  annotations?: Record<string, string>;
  labels?: Record<string, string>;
  /** Kubernetes appProtocol per port; default: nothing is declared. */
  appProtocols?: { http?: string; grpc?: string };
  /** Further fields of the pod spec, and of the app container. */
  pod?: Record<string, unknown>;
  container?: Record<string, unknown>;
}

const ready = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 };

/** A Deployment of the echo server with its ServiceAccount and Service (http 80, grpc 9090, tcp 7000 and 7001). */
export async function deployEcho(namespace: string, options: EchoOptions): Promise<void> {
  await applyEcho(namespace, options);
  await rolledOut(namespace, options.name);
}

export async function applyEcho(namespace: string, options: EchoOptions): Promise<void> {
  const { name, service = name } = options;
  const meta = (n: string): object => ({ name: n, namespace });
  const labels = { app: service, version: options.version ?? 'v1', ...options.labels };
  const objects = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(service) },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta(service),
      spec: { selector: { app: service }, ports: servicePorts(options.appProtocols ?? {}) },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: meta(name),
      spec: {
        replicas: options.replicas ?? 1,
        selector: { matchLabels: { app: service, version: labels.version } },
        template: {
          metadata: { labels, annotations: options.annotations ?? {} },
          spec: {
            serviceAccountName: service,
            containers: [
              {
                name: 'app',
                image: testImage(),
                args: ['echo'],
                env: [
                  { name: 'SERVICE', value: service },
                  { name: 'VERSION', value: labels.version },
                ],
                readinessProbe: ready,
                resources: { requests: { cpu: '5m', memory: '32Mi' } },
                ...options.container,
              },
            ],
            ...options.pod,
          },
        },
      },
    },
  ];
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

function servicePorts(declared: { http?: string; grpc?: string }): object[] {
  const port = (name: string, number: number, target: number, appProtocol?: string): object => ({
    name,
    port: number,
    targetPort: target,
    ...(appProtocol === undefined ? {} : { appProtocol }),
  });
  // Names without a protocol prefix, so that nothing is declared unless a test says so.
  return [
    port('web', 80, 8080, declared.http),
    port('rpc', 9090, 9090, declared.grpc),
    port('greeter', 7000, 7000),
    port('line', 7001, 7001),
  ];
}

export async function rolledOut(namespace: string, deployment: string): Promise<void> {
  await kubectl('-n', namespace, 'rollout', 'status', `deployment/${deployment}`, '--timeout=300s');
}

interface SliceList {
  items: { endpoints: { conditions: { ready?: boolean } }[] | null }[];
}

/** Behind the Service stand so many pods: on a busy machine its slices follow some time after the pods are ready. */
export async function serving(namespace: string, service: string, count: number): Promise<void> {
  const selector = `kubernetes.io/service-name=${service}`;
  await waitFor(`${count} endpoints of ${service}`, 60_000, async () => {
    const { items } = await getJson<SliceList>('endpointslices', '-n', namespace, '-l', selector);
    const all = items.flatMap(({ endpoints }) => endpoints ?? []);
    return all.filter(({ conditions }) => conditions.ready === true).length >= count;
  });
}

/** A fresh namespace of that name; what an earlier run left under it is removed first. */
export async function createNamespace(name: string, meshed: boolean): Promise<void> {
  await deleteNamespace(name);
  await kubectl('create', 'namespace', name);
  if (meshed) await kubectl('annotate', 'namespace', name, 'tsmesh.dev/inject=enabled');
}

export async function deleteNamespace(name: string): Promise<void> {
  const args = ['delete', 'namespace', name, '--ignore-not-found', '--timeout=120s'];
  await kubectl(...args);
}

interface PodList {
  items: { metadata: { name: string; deletionTimestamp?: string }; status: { podIP?: string } }[];
}

export interface PodName {
  name: string;
  ip: string;
}

/** Pods of a label that are not going. */
export async function podsOf(namespace: string, selector: string): Promise<PodName[]> {
  const list = await getJson<PodList>('pods', '-n', namespace, '-l', selector);
  return list.items
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => ({ name: pod.metadata.name, ip: pod.status.podIP ?? '' }));
}

/** Waits until an Event with this reason exists in the namespace, and answers its message. */
export async function eventMessage(namespace: string, reason: string): Promise<string> {
  return await waitFor(`an Event ${reason} in ${namespace}`, 30_000, async () => {
    const args = ['get', 'events', '-n', namespace, '-o', 'json'];
    const result = await tryKubectl(args);
    const { items } = JSON.parse(result.stdout) as { items: { reason: string; message: string }[] };
    return items.find((event) => event.reason === reason)?.message;
  });
}
