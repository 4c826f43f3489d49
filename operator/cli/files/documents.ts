// YAML or JSON texts to objects of Kubernetes, each with its place. Lists are taken apart. Pure; what is
// wrong is collected, not thrown.

import { parseAllDocuments } from 'yaml';
import { apiGroup } from '../../../proxy/api/constants.ts';
import type { KubeObject } from '../../resources/kubernetes.ts';
import { originText, type FileObject, type Origin } from '../objects.ts';
import type { TextFile } from './read.ts';

export interface Documents {
  objects: FileObject[];
  /** `file:document: field: what is wrong`. */
  faults: string[];
}

/** `defaultNamespace`: of namespaced objects that name none. Cluster-scoped ones keep none. */
export function readDocuments(files: readonly TextFile[], defaultNamespace: string): Documents {
  const found: Documents = { objects: [], faults: [] };
  for (const { name, text } of files) {
    for (const [index, document] of parseAll(text).entries()) {
      const origin = { file: name, document: index + 1 };
      const [error] = document.errors;
      if (error !== undefined) {
        const [what = ''] = error.message.split('\n');
        found.faults.push(`${originText(origin)}: is no YAML: ${what.replace(/:$/, '')}`);
        continue;
      }
      const value = valueOf(document);
      if (value instanceof Error)
        found.faults.push(`${originText(origin)}: is no YAML: ${value.message}`);
      else if (isCircular(value))
        found.faults.push(
          `${originText(origin)}: is no object of Kubernetes: an alias stands for what holds it`,
        );
      else if (value !== null && value !== undefined) take(found, value, origin, defaultNamespace);
    }
  }
  return found;
}

/** A text without any document gives an empty list that carries the (no) errors of the whole. */
function parseAll(text: string): { errors: { message: string }[]; toJS(): unknown }[] {
  const documents = parseAllDocuments(text, { uniqueKeys: true });
  return Array.isArray(documents) ? documents : [];
}

/** An Error for aliases that lead nowhere, or to far more than the text holds. */
function valueOf(document: { toJS(): unknown }): unknown {
  try {
    return document.toJS();
  } catch (error) {
    return error;
  }
}

/** YAML lets an object hold itself, and whoever walks it would never come to an end. */
function isCircular(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return false;
  } catch {
    return true;
  }
}

const clusterScoped = new Set(['Mesh', 'Namespace', 'MeshStatus']);

function take(found: Documents, value: unknown, origin: Origin, defaultNamespace: string): void {
  const fault = shapeFault(value);
  if (fault !== null) {
    found.faults.push(`${originText(origin)}: ${fault}`);
    return;
  }
  const object = value as KubeObject & { kind: string; items?: unknown[] };
  if (object.kind.endsWith('List') && Array.isArray(object.items)) {
    for (const item of object.items) take(found, item, origin, defaultNamespace);
    return;
  }
  const named = nameFault(object);
  if (named !== null) {
    found.faults.push(`${originText(origin)}: ${named}`);
    return;
  }
  if (!clusterScoped.has(object.kind)) object.metadata.namespace ??= defaultNamespace;
  const own = object.apiVersion!.startsWith(`${apiGroup}/`);
  const read = own ? object : (withoutNulls(object) as KubeObject);
  found.objects.push({ kind: object.kind, object: read, origin });
}

/** `labels:` with nothing behind it: Kubernetes takes null for absent in its own kinds. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const given = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(given.map(([key, inner]) => [key, withoutNulls(inner)]));
}

function shapeFault(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'is no object of Kubernetes';
  const { kind, apiVersion } = value as Record<string, unknown>;
  if (typeof kind !== 'string' || kind === '') return 'kind: is missing';
  if (typeof apiVersion !== 'string' || apiVersion === '') return 'apiVersion: is missing';
  return null;
}

function nameFault(object: KubeObject & { kind: string }): string | null {
  const metadata = object.metadata as unknown;
  if (typeof metadata !== 'object' || metadata === null)
    return `${object.kind}: metadata: is missing`;
  const { name, namespace } = metadata as Record<string, unknown>;
  if (typeof name !== 'string' || name === '') return `${object.kind}: metadata.name: is missing`;
  if (namespace !== undefined && typeof namespace !== 'string')
    return `${object.kind} ${name}: metadata.namespace: must be a string`;
  return null;
}
