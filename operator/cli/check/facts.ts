// What `tsmesh check` asks of a cluster, each question for itself: what cannot be read is said where it is missed, and does not
// keep the rest from being checked. Judges nothing.

import { apiGroup, apiVersion, systemNamespace } from '../../../proxy/api/constants.ts';
import type { SidecarsAnswer } from '../../console/api.ts';
import type { UserClient } from '../../kube/user-client.ts';
import type { KubeObject, Namespace, Pod } from '../../resources/kubernetes.ts';
import { errorText } from '../../resources/logger.ts';
import type { ConditionsStatus, Mesh } from '../../resources/tsmesh.ts';
import { readOperatorRights, type OperatorRight } from './operator-rights.ts';

/** Read, not there, or not readable and why. */
export type Fact<T> = { value: T } | { missing: true } | { unread: string };

export interface NodeObject extends KubeObject {
  status?: { nodeInfo?: { architecture?: string; operatingSystem?: string } };
}

export interface NodeLease extends KubeObject {
  spec?: { renewTime?: string };
}

export interface OperatorDeployment extends KubeObject {
  spec?: { replicas?: number };
  status?: { availableReplicas?: number };
}

export interface WebhooksObject extends KubeObject {
  webhooks?: { clientConfig: { caBundle?: string } }[];
}

export type PolicyObject = KubeObject & { status?: ConditionsStatus };

const policyKinds = {
  PeerAuthentication: 'peerauthentications',
  TrafficPolicy: 'trafficpolicies',
  AuthorizationPolicy: 'authorizationpolicies',
} as const;

export interface Facts {
  /** Of the machine that this runs on, when the API server answered. */
  localMs: number;
  server: Fact<{ version: string; major: number; minor: number; dateMs: number }>;
  nodes: Fact<NodeObject[]>;
  nodeLeases: Fact<NodeLease[]>;
  /** Plural names of the kinds of the mesh that the API server knows. */
  kinds: Fact<string[]>;
  operator: Fact<OperatorDeployment>;
  /** The mutating and the validating one. */
  webhooks: Fact<WebhooksObject>[];
  mesh: Fact<Mesh>;
  namespaces: Fact<Namespace[]>;
  /** By kind. */
  policies: Record<string, Fact<PolicyObject[]>>;
  sidecars: Fact<SidecarsAnswer>;
  pods: Fact<Pod[]>;
  /** Rights that an installation needs, and whether this user has them. */
  rights: Fact<{ right: string; allowed: boolean }[]>;
  operatorRights: Fact<OperatorRight[]>;
}

/** `askSidecars` asks the operator itself. */
export async function gatherFacts(
  client: UserClient,
  wallTimeMs: () => number,
  askSidecars: () => Promise<SidecarsAnswer>,
): Promise<Facts> {
  const version = await readVersion(client);
  const localMs = wallTimeMs();
  const admission = '/apis/admissionregistration.k8s.io/v1';
  const own = `/apis/${apiGroup}/${apiVersion}`;
  const operatorPath = `/apis/apps/v1/namespaces/${systemNamespace}/deployments/tsmesh-operator`;
  const leasesPath = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const asked = {
    nodes: readList<NodeObject>(client, '/api/v1/nodes'),
    nodeLeases: readList<NodeLease>(client, leasesPath),
    kinds: readKinds(client),
    operator: readOne<OperatorDeployment>(client, operatorPath),
    mesh: readOne<Mesh>(client, `${own}/meshes/default`),
    namespaces: readList<Namespace>(client, '/api/v1/namespaces'),
    pods: readList<Pod>(client, '/api/v1/pods'),
    rights: readRights(client),
    sidecars: attempt(askSidecars),
    operatorRights: attempt(() => readOperatorRights(client)),
  };
  const webhooks = ['mutating', 'validating'].map((which) =>
    readOne<WebhooksObject>(client, `${admission}/${which}webhookconfigurations/tsmesh`),
  );
  const policies = Object.entries(policyKinds).map(
    async ([kind, plural]) =>
      [kind, await readList<PolicyObject>(client, `${own}/${plural}`)] as const,
  );
  return {
    localMs,
    server: version,
    nodes: await asked.nodes,
    nodeLeases: await asked.nodeLeases,
    kinds: await asked.kinds,
    operator: await asked.operator,
    webhooks: await Promise.all(webhooks),
    mesh: await asked.mesh,
    namespaces: await asked.namespaces,
    policies: Object.fromEntries(await Promise.all(policies)),
    sidecars: await asked.sidecars,
    pods: await asked.pods,
    rights: await asked.rights,
    operatorRights: await asked.operatorRights,
  };
}

async function attempt<T>(ask: () => Promise<T>): Promise<Fact<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    return { unread: errorText(error) };
  }
}

/** `missing` for 404; other answers are `unread`, in the words of the API server. */
async function read<T>(
  client: UserClient,
  path: string,
  take: (body: string, dateMs: number) => T,
): Promise<Fact<T>> {
  try {
    const { status, body, dateMs = Number.NaN } = await client.send({ method: 'GET', path });
    if (status === 200) return { value: take(body, dateMs) };
    return status === 404 ? { missing: true } : { unread: wordsOf(status, body) };
  } catch (error) {
    return { unread: errorText(error) };
  }
}

function wordsOf(status: number, body: string): string {
  if (status === 403) return 'the right to read it is missing';
  if (status === 401) return 'it does not know this user: log in again';
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    if (typeof message === 'string' && message !== '') return message;
  } catch {
    // Not a Status: the number is all there is.
  }
  return `the API server answered ${status}`;
}

function readOne<T>(client: UserClient, path: string): Promise<Fact<T>> {
  return read(client, path, (body) => JSON.parse(body) as T);
}

function readList<T>(client: UserClient, path: string): Promise<Fact<T[]>> {
  return read(client, path, (body) => (JSON.parse(body) as { items: T[] }).items);
}

function readKinds(client: UserClient): Promise<Fact<string[]>> {
  return read(client, `/apis/${apiGroup}/${apiVersion}`, (body) => {
    const { resources } = JSON.parse(body) as { resources: { name: string }[] };
    return resources.map(({ name }) => name).filter((name) => !name.includes('/'));
  });
}

function readVersion(client: UserClient): Promise<Facts['server']> {
  return read(client, '/version', (body, dateMs) => {
    const said = JSON.parse(body) as { gitVersion: string; major: string; minor: string };
    // Some providers write `30+`.
    const number = (text: string): number => Number.parseInt(text, 10);
    return {
      version: said.gitVersion,
      major: number(said.major),
      minor: number(said.minor),
      dateMs,
    };
  });
}

const neededRights = [
  ['create', 'apiextensions.k8s.io', 'customresourcedefinitions'],
  ['create', 'rbac.authorization.k8s.io', 'clusterroles'],
  ['create', 'rbac.authorization.k8s.io', 'clusterrolebindings'],
  ['create', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations'],
  ['create', 'admissionregistration.k8s.io', 'validatingwebhookconfigurations'],
  ['create', 'admissionregistration.k8s.io', 'validatingadmissionpolicies'],
  ['create', '', 'namespaces'],
  ['create', 'apps', 'deployments'],
] as const;

async function readRights(client: UserClient): Promise<Facts['rights']> {
  return await attempt(() =>
    Promise.all(
      neededRights.map(async ([verb, group, resource]) => {
        const attributes = { verb, group, resource, namespace: systemNamespace };
        const { status, body } = await client.send({
          method: 'POST',
          path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
          body: {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'SelfSubjectAccessReview',
            spec: { resourceAttributes: attributes },
          },
        });
        if (status !== 201) throw new Error(wordsOf(status, body));
        const review = JSON.parse(body) as { status: { allowed: boolean } };
        return { right: `${verb} ${resource}`, allowed: review.status.allowed };
      }),
    ),
  );
}
