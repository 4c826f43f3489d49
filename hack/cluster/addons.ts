// What runs in the embedded cluster from the start: CoreDNS. Objects as plain values for kubectl.
import { COREDNS_IMAGE, type ClusterSettings } from './settings.ts';

const labels = { 'k8s-app': 'kube-dns' };
const metadata = { name: 'coredns', namespace: 'kube-system' };

/**
 * Names outside the cluster do not exist: nothing is forwarded, and an app that asks gets its answer
 * at once instead of a server failure.
 */
const corefile = `cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    ttl 5
  }
  cache 5
  loadbalance
}
.:53 {
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;

/** A list that `kubectl apply -f -` takes. */
export function addons(settings: ClusterSettings): string {
  const items = [...access(), configMap(), deployment(), service(settings)];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

function access(): object[] {
  const rules = [
    {
      apiGroups: [''],
      resources: ['endpoints', 'services', 'pods', 'namespaces'],
      verbs: ['list', 'watch'],
    },
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
  ];
  const rbac = 'rbac.authorization.k8s.io';
  const roleRef = { apiGroup: rbac, kind: 'ClusterRole', name: 'system:coredns' };
  const name = { name: 'system:coredns' };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: name, rules },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: name,
      roleRef,
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
  ];
}

function configMap(): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: corefile } };
}

function deployment(): object {
  const container = {
    name: 'coredns',
    image: COREDNS_IMAGE,
    imagePullPolicy: 'Never',
    args: ['-conf', '/etc/coredns/Corefile'],
    resources: { requests: { cpu: '10m', memory: '20Mi' } },
    readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
    volumeMounts: [{ name: 'config', mountPath: '/etc/coredns', readOnly: true }],
  };
  const spec = {
    serviceAccountName: 'coredns',
    dnsPolicy: 'Default',
    priorityClassName: 'system-cluster-critical',
    containers: [container],
    volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec },
    },
  };
}

function service(settings: ClusterSettings): object {
  const ports = ['UDP', 'TCP'].map((protocol) => ({
    name: `dns-${protocol.toLowerCase()}`,
    port: 53,
    protocol,
  }));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kube-dns', namespace: 'kube-system', labels },
    spec: { clusterIP: settings.dnsAddress, selector: labels, ports },
  };
}
