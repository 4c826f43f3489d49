// What the installation may do and how it is confined, read from the manifests themselves: each right has a
// line of code that needs it, each container the least it can run with.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { injectPod } from './inject/inject-pod.ts';
import { injected, inputOf, podOf } from './inject/test-pods.ts';
import { kinds } from './kube/kinds.ts';
import { informerScopes } from './stores.ts';

const root = join(import.meta.dirname, '..');

interface Rule {
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

interface Manifest {
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  rules?: Rule[];
}

function manifests<T = Manifest>(path: string): T[] {
  const text = readFileSync(join(root, path), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJSON() as T);
}

function rightsOf(kind: string, name: string): string[] {
  const role = manifests('config/operator/rbac.yaml').find(
    (one) => one.kind === kind && one.metadata.name === name,
  );
  return role!.rules!.flatMap(({ resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
  );
}

/** Lists and watches of all informers whose objects are not confined to one namespace. */
function watched(): string[] {
  return informerScopes
    .filter(({ namespace }) => namespace === undefined)
    .flatMap(({ kind }) => [`list ${kinds[kind].plural}`, `watch ${kinds[kind].plural}`]);
}

/** Right → where the operator uses it: a file and words in it. */
const used: Record<string, Record<string, [file: string, words: string]>> = {
  'ClusterRole tsmesh-operator': {
    'get namespaces': ['operator/inject/pod-handler.ts', "get<Namespace>('Namespace'"],
    'patch namespaces': ['operator/controllers/namespace.ts', "patch({ kind: 'Namespace'"],
    'get serviceaccounts': ['operator/inject/pod-handler.ts', "get('ServiceAccount'"],
    'create events': ['operator/kube/events.ts', "create<EventObject>('Event'"],
    'patch events': ['operator/kube/events.ts', 'patch<EventObject>'],
    'create meshes': ['operator/controllers/mesh.ts', "create<Mesh>('Mesh'"],
    'patch meshes/status': ['operator/controllers/write-status.ts', "subresource: 'status'"],
    'patch peerauthentications/status': [
      'operator/controllers/peer-authentication.ts',
      "'PeerAuthentication'",
    ],
    'patch trafficpolicies/status': ['operator/controllers/traffic-policy.ts', "'TrafficPolicy'"],
    'patch authorizationpolicies/status': [
      'operator/controllers/authorization-policy.ts',
      "'AuthorizationPolicy'",
    ],
    'create meshstatuses': [
      'operator/controllers/mesh-status.ts',
      "create<MeshStatus>('MeshStatus'",
    ],
    'delete meshstatuses': ['operator/controllers/mesh-status.ts', "delete('MeshStatus'"],
    'patch meshstatuses/status': ['operator/controllers/mesh-status.ts', 'api.patch('],
    'get mutatingwebhookconfigurations': ['operator/app.ts', 'get<WebhookConfiguration>'],
    'get validatingwebhookconfigurations': ['operator/app.ts', 'get<WebhookConfiguration>'],
    'patch mutatingwebhookconfigurations': [
      'operator/controllers/webhook-configuration.ts',
      'api.patch(',
    ],
    'patch validatingwebhookconfigurations': [
      'operator/controllers/webhook-configuration.ts',
      'api.patch(',
    ],
    'create rolebindings': ['operator/controllers/identity-access.ts', "create('RoleBinding'"],
    'get rolebindings': ['operator/controllers/identity-access.ts', "get('RoleBinding'"],
    'delete rolebindings': ['operator/controllers/identity-access.ts', "delete('RoleBinding'"],
    'bind clusterroles': ['operator/controllers/identity-access.ts', 'roleRef'],
  },
  'Role tsmesh-operator': {
    'create secrets': ['operator/ca/ca-secret.ts', "create('Secret'"],
    'get secrets': ['operator/ca/ca-secret.ts', "get<Secret>('Secret'"],
    'update secrets': ['operator/controllers/root-rotation.ts', "replace('Secret'"],
    'list secrets': ['operator/stores.ts', 'metadata.name=${caSecretName}'],
    'watch secrets': ['operator/stores.ts', 'metadata.name=${caSecretName}'],
    'create certificaterequests': ['operator/controllers/issuer.ts', "create('CertificateRequest'"],
    'get certificaterequests': ['operator/controllers/issuer.ts', "get('CertificateRequest'"],
    'delete certificaterequests': ['operator/controllers/issuer.ts', "delete('CertificateRequest'"],
    'get configmaps': ['operator/controllers/issuer.ts', "'ConfigMap'"],
    'create leases': ['operator/kube/leader-election.ts', "create<LeaseObject>('Lease'"],
    'get leases': ['operator/kube/leader-election.ts', "get<LeaseObject>('Lease'"],
    'update leases': ['operator/kube/leader-election.ts', "replace<LeaseObject>('Lease'"],
  },
  'ClusterRole tsmesh-identity': {
    'get secrets': ['operator/ca/identity-secrets.ts', "get<Secret>('Secret'"],
    'create secrets': ['operator/ca/identity-secrets.ts', "create('Secret'"],
    'update secrets': ['operator/ca/identity-secrets.ts', "replace('Secret'"],
    'delete secrets': ['operator/ca/identity-secrets.ts', "delete('Secret'"],
    'list secrets': ['operator/kube/caches.ts', 'type=${identitySecretType}'],
    'watch secrets': ['operator/kube/caches.ts', 'type=${identitySecretType}'],
  },
};

describe("the operator's roles", () => {
  it.each(Object.keys(used))('hold nothing that no code uses, and all that it does: %s', (role) => {
    const [kind, name] = role.split(' ') as [string, string];
    const informers = role === 'ClusterRole tsmesh-operator' ? watched() : [];
    const expected = [...Object.keys(used[role]!), ...informers];
    expect(new Set(rightsOf(kind, name))).toEqual(new Set(expected));
  });

  it('are used where it says here', () => {
    const places = Object.values(used).flatMap((rights) => Object.entries(rights));
    const wrong = places.filter(
      ([, [file, words]]) => !readFileSync(join(root, file), 'utf8').includes(words),
    );
    expect(wrong).toEqual([]);
  });

  it('have no wildcard, and reach Secrets of the whole cluster through none', () => {
    const text = readFileSync(join(root, 'config/operator/rbac.yaml'), 'utf8');
    expect(text).not.toContain("'*'");
    const rights = rightsOf('ClusterRole', 'tsmesh-operator');
    expect(rights.filter((right) => / (secrets|pods\/exec|clusterroles)$/.test(right))).toEqual([
      'bind clusterroles',
    ]);
  });
});

interface Context {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  allowPrivilegeEscalation?: boolean;
  privileged?: boolean;
  readOnlyRootFilesystem?: boolean;
  seccompProfile?: { type: string };
  capabilities?: { drop?: string[]; add?: string[] };
}

const least = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

describe('the containers of the mesh', () => {
  it('run the operator with nothing but a memory limit and an id', () => {
    interface Deployment {
      spec: {
        template: {
          spec: {
            securityContext: Context;
            hostNetwork?: boolean;
            containers: { securityContext: Context; resources: { limits: object } }[];
          };
        };
      };
    }
    const [deployment] = manifests<Deployment>('config/operator/deployment.yaml');
    const { spec } = deployment!.spec.template;
    expect(spec.hostNetwork).toBeUndefined();
    for (const container of spec.containers) {
      const context = { ...spec.securityContext, ...container.securityContext };
      expect(context).toMatchObject({
        ...least,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(context.capabilities?.add).toBeUndefined();
      expect(container.resources.limits).toHaveProperty('memory');
    }
  });

  it('have their namespace enforce Pod Security restricted, which the operator passes', () => {
    const [namespace] = manifests('config/namespace/namespace.yaml');
    const labels = namespace!.metadata.labels!;
    expect(labels['pod-security.kubernetes.io/enforce']).toBe('restricted');
  });

  it('run the sidecar without root and capabilities, and its init container with two', () => {
    const given = podOf();
    const { spec } = injected(given, injectPod(inputOf(given)));
    const [init, proxy] = spec.initContainers!;
    expect(proxy!.securityContext).toMatchObject({
      ...least,
      privileged: false,
      runAsNonRoot: true,
      runAsUser: 15_086,
      capabilities: { drop: ['ALL'] },
    });
    expect((proxy!.securityContext as Context).capabilities?.add).toBeUndefined();
    expect(init!.securityContext).toMatchObject({
      ...least,
      privileged: false,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
    });
    for (const container of [init, proxy]) {
      expect(container!.resources).toMatchObject({ limits: { memory: expect.any(String) } });
      expect(container!.resources).toMatchObject({ requests: { cpu: expect.any(String) } });
    }
  });
});
