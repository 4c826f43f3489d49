// Services with internalTrafficPolicy: Local: their endpoints are there for callers of the same node only. Which those are
// is decided once when they are put in force, not when one is chosen.

import type { EndpointSet, PreparedWorkload } from './prepared.ts';
import { list, object, textOrNull, type JsonObject } from './reader.ts';

/** The node that each endpoint is kept to, in order; null where none is. */
export function prepareNodes(from: JsonObject): EndpointSet['nodes'] {
  const nodes = list(from, 'endpoints', '', (value, path) => {
    return textOrNull(object(value, path), 'onlyNode', path) ?? '';
  });
  return nodes.some((node) => node !== '') ? nodes : null;
}

/** Leaves out what is kept to other nodes, once the own one is known. A pod stays at its node. */
export function keepToNode(
  endpoints: Map<string, EndpointSet>,
  workload: PreparedWorkload | null,
): void {
  if (workload === null) return;
  for (const [name, { nodes, endpoints: all }] of endpoints) {
    if (nodes == null) continue;
    const near = all.filter((_, i) => nodes[i] === '' || nodes[i] === workload.node);
    // All in one place: there is no zone to prefer.
    endpoints.set(name, { name, endpoints: near, hints: null });
  }
}
