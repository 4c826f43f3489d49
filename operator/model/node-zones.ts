// The zones of nodes, as EndpointSlices tell them: every slice names the nodes of its endpoints and their
// zones. So the operator needs no rights on nodes. Counted, as a change of a slice must not cost what all
// slices of its nodes do.

import { CopyMap } from './copy-map.ts';
import type { EndpointSlice } from '../resources/kubernetes.ts';
import { compareText } from './order.ts';
import { endpointsOf } from './view.ts';

export class NodeZones {
  /** By node and zone: how many slices say so. */
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #saidBy = new Map<string, ReadonlyMap<string, string>>();
  readonly #zones = new CopyMap<string>();

  /** What a slice says in place of what it said; null: nothing. Answers the nodes whose zone is another now. */
  replace(slice: string, next: EndpointSlice | null): string[] {
    const before = this.#saidBy.get(slice) ?? new Map<string, string>();
    const after = next === null ? new Map<string, string>() : zonesIn(next);
    if (after.size === 0) this.#saidBy.delete(slice);
    else this.#saidBy.set(slice, after);
    for (const [node, zone] of before) this.#count(node, zone, -1);
    for (const [node, zone] of after) this.#count(node, zone, 1);
    return [...new Set([...before.keys(), ...after.keys()])].filter((node) => this.#settle(node));
  }

  snapshot(): ReadonlyMap<string, string> {
    return this.#zones.snapshot();
  }

  #count(node: string, zone: string, by: number): void {
    const counts = this.#counts.get(node) ?? new Map<string, number>();
    const count = (counts.get(zone) ?? 0) + by;
    if (count === 0) counts.delete(zone);
    else counts.set(zone, count);
    if (counts.size === 0) this.#counts.delete(node);
    else this.#counts.set(node, counts);
  }

  /** Of two zones of one name (a node made anew elsewhere) the first, on every replica. */
  #settle(node: string): boolean {
    const zone = [...(this.#counts.get(node)?.keys() ?? [])].toSorted(compareText)[0];
    if (zone === this.#zones.get(node)) return false;
    this.#zones.put(node, zone ?? null);
    return true;
  }
}

function zonesIn(slice: EndpointSlice): Map<string, string> {
  const zones = new Map<string, string>();
  for (const { nodeName, zone } of endpointsOf(slice)) {
    if (nodeName !== undefined && zone) zones.set(nodeName, zone);
  }
  return zones;
}
