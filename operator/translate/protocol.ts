// How a port speaks, as its owner declared it: appProtocol first, then the prefix of the port's name
// (up to the first `-`). Undeclared is `auto`: the proxy finds out from the first bytes.

import type { Protocol } from '../../proxy/api/resources.ts';
import { oldestFirst } from '../model/order.ts';
import { tcpPorts } from '../model/view.ts';
import type { PodEntry, View } from '../model/view.ts';
import type { Service, ServicePort } from '../resources/kubernetes.ts';

const protocols: Record<string, Protocol> = {
  http: 'http1',
  http1: 'http1',
  'kubernetes.io/ws': 'http1',
  ws: 'http1',
  // gRPC-Web is made for HTTP/1.1 and is spoken over both: the first bytes tell.
  'grpc-web': 'auto',
  http2: 'http2',
  h2c: 'http2',
  'kubernetes.io/h2c': 'http2',
  grpc: 'http2',
  // The application's own TLS is bytes to the mesh.
  https: 'tcp',
  tls: 'tcp',
  'kubernetes.io/wss': 'tcp',
  wss: 'tcp',
  tcp: 'tcp',
  mongo: 'tcp',
  mongodb: 'tcp',
  mysql: 'tcp',
  postgres: 'tcp',
  postgresql: 'tcp',
  redis: 'tcp',
  smtp: 'tcp',
  kafka: 'tcp',
  amqp: 'tcp',
};

/** Of a port with this appProtocol and name. */
export function declaredProtocol(appProtocol: string | undefined, name = ''): Protocol {
  if (appProtocol !== undefined) return protocols[appProtocol.toLowerCase()] ?? 'auto';
  const lower = name.toLowerCase();
  if (lower === 'grpc-web' || lower.startsWith('grpc-web-')) return 'auto';
  return protocols[lower.split('-')[0]!] ?? 'auto';
}

/** The pod's port that a Service port leads to; null where the pod has no port of that name. */
export function targetPort(port: ServicePort, pod: PodEntry): number | null {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  return pod.containerPorts.find((candidate) => candidate.name === target)?.port ?? null;
}

export function matchesLabels(
  wanted: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

/** Services whose selector takes the pod, the oldest first. */
export function servicesOfPod(view: View, pod: PodEntry): Service[] {
  const services = view.servicesByNamespace.get(pod.namespace) ?? [];
  return services.filter(({ spec }) => {
    const selector = spec.selector ?? {};
    return Object.keys(selector).length > 0 && matchesLabels(selector, pod.labels);
  });
}

/** Declared protocols of a pod's ports: by the oldest Service that declares one, else by the container. */
export function podPortProtocols(view: View, pod: PodEntry): Map<number, Protocol> {
  const found = new Map<number, Protocol>();
  const note = (port: number | null, protocol: Protocol) => {
    if (port === null) return;
    const known = found.get(port) ?? 'auto';
    found.set(port, known === 'auto' ? protocol : known);
  };
  for (const service of servicesOfPod(view, pod).toSorted(oldestFirst)) {
    for (const port of tcpPorts(service)) {
      note(targetPort(port, pod), declaredProtocol(port.appProtocol, port.name));
    }
  }
  for (const { name, port } of pod.containerPorts) note(port, declaredProtocol(undefined, name));
  return found;
}
