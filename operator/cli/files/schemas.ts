// What a manifest must look like, kind by kind: the mesh's own by their CRDs, those of Kubernetes as far as
// the mesh reads them. Values only.

import { apiGroup, apiVersion } from '../../../proxy/api/constants.ts';
import { crdSchemas } from '../generated/crd-schemas.ts';

export interface KindSchema {
  readonly apiVersion: string;
  readonly schema: object;
}

const labels = { type: 'object', additionalProperties: { type: 'string' } };
const metadata = { type: 'object', properties: { labels, annotations: labels } };
const port = { type: 'integer', minimum: 1, maximum: 65535 };
const portOrName = { anyOf: [port, { type: 'string', minLength: 1 }] };
const containerPort = {
  type: 'object',
  required: ['containerPort'],
  properties: { containerPort: port, name: { type: 'string' }, protocol: { type: 'string' } },
};
const container = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', minLength: 1 },
    ports: { type: 'array', items: containerPort },
  },
};
const podSpec = {
  type: 'object',
  required: ['containers'],
  properties: {
    containers: { type: 'array', minItems: 1, items: container },
    initContainers: { type: 'array', items: container },
    serviceAccountName: { type: 'string' },
    hostNetwork: { type: 'boolean' },
  },
};
const template = {
  type: 'object',
  required: ['spec'],
  properties: { metadata, spec: podSpec },
};
const workload = {
  type: 'object',
  required: ['spec'],
  properties: {
    metadata,
    spec: { type: 'object', required: ['template'], properties: { template } },
  },
};
const cronJob = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: { type: 'object', required: ['jobTemplate'], properties: { jobTemplate: workload } },
  },
};
const service = {
  type: 'object',
  required: ['spec'],
  properties: {
    metadata,
    spec: {
      type: 'object',
      properties: {
        clusterIP: { type: 'string' },
        selector: labels,
        ports: {
          type: 'array',
          items: {
            type: 'object',
            required: ['port'],
            additionalProperties: false,
            properties: {
              port,
              nodePort: { type: 'integer' },
              targetPort: portOrName,
              name: { type: 'string' },
              protocol: { type: 'string' },
              appProtocol: { type: 'string' },
            },
          },
        },
      },
    },
  },
};

const own = Object.entries(crdSchemas).map(([kind, schema]): [string, KindSchema] => [
  kind,
  { apiVersion: `${apiGroup}/${apiVersion}`, schema },
]);

export const kindSchemas: ReadonlyMap<string, KindSchema> = new Map([
  ...own,
  ['Namespace', { apiVersion: 'v1', schema: { type: 'object', properties: { metadata } } }],
  ['Service', { apiVersion: 'v1', schema: service }],
  [
    'Pod',
    {
      apiVersion: 'v1',
      schema: { type: 'object', required: ['spec'], properties: { metadata, spec: podSpec } },
    },
  ],
  ['Deployment', { apiVersion: 'apps/v1', schema: workload }],
  ['ReplicaSet', { apiVersion: 'apps/v1', schema: workload }],
  ['StatefulSet', { apiVersion: 'apps/v1', schema: workload }],
  ['DaemonSet', { apiVersion: 'apps/v1', schema: workload }],
  ['Job', { apiVersion: 'batch/v1', schema: workload }],
  ['CronJob', { apiVersion: 'batch/v1', schema: cronJob }],
]);
