// What a translation gives: the resource, the policies that shaped it and what it was made from.

import type { PolicyRef, Resource } from '../../proxy/api/resources.ts';
import { namespaceOf } from '../model/view.ts';
import type { DependencyKey } from '../model/view.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { isDryRun } from '../resources/dry-run.ts';
import { compareText } from '../model/order.ts';

/**
 * A policy at a generation. The uid tells a deleted and recreated one apart, and carries a mark where the
 * policy is in dry run: an annotation that says so moves no generation.
 */
export interface ShapedBy extends PolicyRef {
  readonly uid: string;
}

export interface Translated<R extends Resource = Resource> {
  readonly resource: R;
  /** Those in the resource, and those that shaped an Endpoints resource, which does not name any. */
  readonly shapedBy: readonly ShapedBy[];
  readonly dependsOn: readonly DependencyKey[];
}

export function shapedBy(kind: PolicyRef['kind'], object: KubeObject): ShapedBy {
  const { name, generation = 0, uid = '' } = object.metadata;
  const mark = isDryRun(object) ? '+dry-run' : '';
  return { kind, namespace: namespaceOf(object), name, generation, uid: `${uid}${mark}` };
}

/** Sorted, each once. */
export function distinctPolicies(list: readonly ShapedBy[]): ShapedBy[] {
  const byKey = new Map(list.map((ref) => [policyKey(ref), ref]));
  return [...byKey.entries()].toSorted(([a], [b]) => compareText(a, b)).map(([, ref]) => ref);
}

export function policyKey(ref: Pick<PolicyRef, 'kind' | 'namespace' | 'name'>): string {
  return `${ref.kind}/${ref.namespace}/${ref.name}`;
}

export function withoutUids(list: readonly ShapedBy[]): PolicyRef[] {
  return list.map(({ kind, namespace, name, generation }) => ({
    kind,
    namespace,
    name,
    generation,
  }));
}
