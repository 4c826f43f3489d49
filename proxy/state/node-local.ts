// Services with internalTrafficPolicy: Local: their endpoints are there for callers of the same node only. Which those are
// is decided once when they are put in force, not when one is chosen.

import type { Draft } from './draft.ts';
import type { EndpointSet } from './prepared.ts';
import { list, object, textOrNull, type JsonObject } from './reader.ts';

/** The node that each endpoint is kept to, in order; null where none is. */
export function prepareNodes(from: JsonObject): EndpointSet['nodes'] {
  const nodes = list(from, 'endpoints', '', (value, path) => {
    return textOrNull(object(value, path), 'onlyNode', path) ?? '';
  });
  return nodes.some((node) => node !== '') ? nodes : null;
}

/**
 * Leaves out what is kept to other nodes, once the own one is known. A pod stays at its node, so what came since then is
 * looked at as it comes, and only once.
 */
export function keepToNode(draft: Draft): void {
  const { workload } = draft;
  if (workload === null) return;
  for (const name of draft.knowsNodeNow ? [...draft.endpoints.keys()] : draft.changedSets) {
    const set = draft.endpoints.get(name);
    if (set?.nodes == null) continue;
    const { nodes, endpoints } = set;
    const near = endpoints.filter((_, i) => nodes[i] === '' || nodes[i] === workload.node);
    // All in one place: there is no zone to prefer.
    draft.putEndpoints({ name, endpoints: near, hints: null });
  }
}
