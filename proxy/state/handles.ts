// One object per endpoint, however many sets and snapshots hold it, so that its moving figures survive
// replacements. It forgets endpoints that no set holds any more.

import type { EndpointFacts } from './prepare.ts';
import type { EndpointHandle, EndpointSet } from './prepared.ts';
import { newLoad } from '../policy/load.ts';

export interface Handles {
  of(facts: EndpointFacts): EndpointHandle;
  sweep(sets: ReadonlyMap<string, EndpointSet>): void;
}

/** Below this many a sweep is not worth its time. */
const slack = 256;

/**
 * `ownAddresses`: of this pod. Its own app is reached without a sidecar on the way (what the sidecar sends
 * to its own pod is not captured), so it is spoken to in plaintext.
 */
export function createHandles(ownAddresses: ReadonlySet<string>): Handles {
  let known = new Map<string, EndpointHandle>();
  let limit = slack;
  return {
    of(given) {
      const facts = ownAddresses.has(given.address) ? withoutIdentity(given) : given;
      const held = known.get(facts.key);
      if (held !== undefined && held.podName === facts.podName && held.zone === facts.zone)
        return held;
      const made = { ...facts, load: newLoad() };
      known.set(facts.key, made);
      return made;
    },
    sweep(sets) {
      if (known.size <= limit) return;
      known = new Map();
      for (const set of sets.values())
        for (const endpoint of set.endpoints) known.set(endpoint.key, endpoint);
      limit = 2 * known.size + slack;
    },
  };
}

function withoutIdentity(facts: EndpointFacts): EndpointFacts {
  return { ...facts, key: facts.key.slice(0, facts.key.indexOf('|') + 1), identity: null };
}
