// What a pod's apps carry to places outside the mesh, counted by the host that they say they call: a claim, which the
// label `by` says. A bounded number of hosts, kept apart from those in the mesh: whoever makes up names displaces none.

/** `sni` and `host`: as the app said. `address`: where it connected, which is a fact. `many`: what all others share. */
export type OutsideBy = 'sni' | 'host' | 'address' | 'many';

export interface OutsideFigures {
  readonly host: string;
  readonly port: number;
  readonly by: OutsideBy;
  connections: number;
  refused: number;
  sentBytes: number;
  receivedBytes: number;
}

/** Hosts and ports that get a series of their own; later ones share one. */
export const maxOutside = 200;
const others = { host: '(other)', port: 0, by: 'many' } as const;

export interface OutsidePlace {
  host: string;
  port: number;
  by: OutsideBy;
}

export interface OutsideCounters {
  /** To be added to. */
  at(place: OutsidePlace): OutsideFigures;
  snapshot(): OutsideFigures[];
}

export function createOutsideCounters(): OutsideCounters {
  const known = new Map<string, OutsideFigures>();
  return {
    at(place) {
      const found = known.get(keyOf(place));
      if (found !== undefined) return found;
      if (known.size >= maxOutside && place.by !== 'many') return this.at(others);
      const made = { ...place, connections: 0, refused: 0, sentBytes: 0, receivedBytes: 0 };
      known.set(keyOf(place), made);
      return made;
    },
    snapshot: () => [...known.values()],
  };
}

function keyOf({ host, port, by }: OutsidePlace): string {
  return `${by} ${host}:${port}`;
}

/** One set from those of several threads. */
export function mergeOutside(parts: readonly (readonly OutsideFigures[])[]): OutsideFigures[] {
  const merged = new Map<string, OutsideFigures>();
  for (const one of parts.flat()) {
    const sum = merged.get(keyOf(one));
    if (sum === undefined) {
      merged.set(keyOf(one), { ...one });
      continue;
    }
    for (const figure of figures) sum[figure] += one[figure];
  }
  return [...merged.values()];
}

const figures = ['connections', 'refused', 'sentBytes', 'receivedBytes'] as const;
