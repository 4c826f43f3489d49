// Which destinations balance by a policy and among which sets of endpoints, so that a push makes ready what it touches
// and looks at nothing else.

import type { Draft } from './draft.ts';
import type { PreparedDestination, Snapshot } from './prepared.ts';

export interface Balanced {
  /** Makes what choices need by this draft, before there is one. */
  ready(draft: Draft, before: Snapshot): void;
}

export function createBalanced(): Balanced {
  /** Of each destination that has a policy, the sets; and the other way round. */
  const setsOf = new Map<string, ReadonlySet<string>>();
  const usersOf = new Map<string, Set<string>>();

  function follow(name: string, one: PreparedDestination | undefined): void {
    const next = one === undefined || one.balancing === null ? null : setNames(one);
    for (const set of setsOf.get(name) ?? []) {
      const users = usersOf.get(set);
      users?.delete(name);
      if (users?.size === 0) usersOf.delete(set);
    }
    if (next === null) {
      setsOf.delete(name);
      return;
    }
    setsOf.set(name, next);
    for (const set of next) {
      const users = usersOf.get(set);
      if (users === undefined) usersOf.set(set, new Set([name]));
      else users.add(name);
    }
  }

  return {
    ready(draft, before) {
      const { destinations, endpoints, changedDestinations, changedSets, workload } = draft;
      for (const name of changedDestinations) follow(name, destinations.get(name));
      const zone = workload?.zone ?? '';
      const touched = new Set(zone === (before.workload?.zone ?? '') ? [] : setsOf.keys());
      for (const name of changedDestinations) touched.add(name);
      for (const set of changedSets) for (const name of usersOf.get(set) ?? []) touched.add(name);
      for (const name of touched) {
        const sets = [...(setsOf.get(name) ?? [])].flatMap((set) => endpoints.get(set) ?? []);
        destinations.get(name)?.balancing?.prepare(sets, zone);
      }
    },
  };
}

function setNames({ routes, tcp }: PreparedDestination): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { backends } of routes) for (const one of backends.list) names.add(one.endpoints);
  for (const one of tcp.list) names.add(one.endpoints);
  return names;
}
