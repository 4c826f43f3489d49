// Whether the operator itself has the rights that it cannot do without: its role may have been edited, or its binding be gone.
// Asks and judges; the whole list is config/operator/rbac.yaml.

import { apiGroup, systemNamespace } from '../../../proxy/api/constants.ts';
import type { UserClient } from '../../kube/user-client.ts';
import type { Finding } from './finding.ts';

export interface OperatorRight {
  /** `patch trafficpolicies/status`. */
  right: string;
  allowed: boolean;
}

interface Right {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  name?: string;
  /** Only there; everywhere by default. */
  namespace?: string;
}

const wanted: readonly Right[] = [
  { verb: 'list', group: '', resource: 'pods' },
  { verb: 'list', group: '', resource: 'services' },
  { verb: 'patch', group: '', resource: 'namespaces' },
  { verb: 'list', group: 'discovery.k8s.io', resource: 'endpointslices' },
  { verb: 'list', group: apiGroup, resource: 'trafficpolicies' },
  { verb: 'patch', group: apiGroup, resource: 'trafficpolicies', subresource: 'status' },
  { verb: 'patch', group: apiGroup, resource: 'meshstatuses', subresource: 'status' },
  {
    verb: 'patch',
    group: 'admissionregistration.k8s.io',
    resource: 'mutatingwebhookconfigurations',
    name: 'tsmesh',
  },
  { verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'rolebindings' },
  { verb: 'get', group: '', resource: 'secrets', name: 'tsmesh-ca', namespace: systemNamespace },
  {
    verb: 'update',
    group: 'coordination.k8s.io',
    resource: 'leases',
    name: 'tsmesh-operator',
    namespace: systemNamespace,
  },
];

const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const account = `system:serviceaccount:${systemNamespace}:tsmesh-operator`;

/** Rejects in words where this user may not ask. */
export async function readOperatorRights(client: UserClient): Promise<OperatorRight[]> {
  return await Promise.all(
    wanted.map(async ({ verb, resource, subresource, ...rest }) => {
      const { status, body } = await client.send({
        method: 'POST',
        path,
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: account,
            groups: ['system:serviceaccounts', `system:serviceaccounts:${systemNamespace}`],
            resourceAttributes: { verb, resource, subresource, ...rest },
          },
        },
      });
      if (status === 403) throw new Error('the right to ask it is missing');
      if (status !== 201) throw new Error(`the API server answered ${status}`);
      const review = JSON.parse(body) as { status: { allowed: boolean } };
      const what = subresource === undefined ? resource : `${resource}/${subresource}`;
      return { right: `${verb} ${what}`, allowed: review.status.allowed };
    }),
  );
}

export function judgeOperatorRights(rights: readonly OperatorRight[]): Finding {
  const missing = rights.filter(({ allowed }) => !allowed).map(({ right }) => right);
  const check = 'rights';
  if (missing.length === 0)
    return { check, level: 'ok', text: 'the operator has what it needs', remedy: '' };
  const text = `the operator may not: ${missing.join(', ')}`;
  return { check, level: 'error', text, remedy: 'kubectl apply -k config/default' };
}
