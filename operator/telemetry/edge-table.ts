// The edges that are kept, with their histories: a bounded number, shared fairly by the namespaces whose sidecars tell of them, so
// that one that makes up callers and destinations takes room from itself only. Pure; time comes in.

import type { GraphEdge } from '../console/api.ts';
import { EdgeHistory } from './edge-history.ts';

/** About 20 KB each. */
export const maxFleetEdges = 2000;

export type EdgeRef = Omit<GraphEdge, 'figures' | 'protocol'>;

/** Whose sidecar it was that counted. */
export type Teller = 'caller' | 'called';

export interface ObservedEdge {
  readonly ref: EdgeRef;
  /** The namespace of the sidecars that tell of it. */
  readonly toldIn: string;
  readonly history: EdgeHistory;
}

export class EdgeTable {
  readonly #edges = new Map<string, ObservedEdge>();
  /** How many of them the sidecars of each namespace tell of. */
  readonly #told = new Map<string, number>();
  /** Edges for which there was no room, and when something was last counted on them. */
  readonly #beyond = new Map<string, { ref: EdgeRef; lastMs: number }>();

  /** Null: there is no room for one more. */
  at(
    ref: EdgeRef,
    { teller, toldIn }: { teller: Teller; toldIn: string },
    nowMs: number,
  ): ObservedEdge | null {
    const key = keyOf(ref, teller);
    const known = this.#edges.get(key);
    if (known !== undefined) return known;
    if (this.#edges.size >= maxFleetEdges && !this.#makeRoom(toldIn, nowMs)) {
      this.#omit(key, ref, nowMs);
      return null;
    }
    const made = { ref, toldIn, history: new EdgeHistory(nowMs) };
    this.#edges.set(key, made);
    this.#beyond.delete(key);
    this.#count(toldIn, 1);
    return made;
  }

  delete(ref: EdgeRef, teller: Teller): void {
    this.#remove(keyOf(ref, teller));
  }

  list(): ObservedEdge[] {
    return [...this.#edges.values()];
  }

  /** Of those for which there was no room; beyond as many as have some the number stands still. */
  omitted(wanted: (ref: EdgeRef) => boolean): number {
    let count = 0;
    for (const { ref } of this.#beyond.values()) if (wanted(ref)) count += 1;
    return count;
  }

  /** What had no traffic for so long is forgotten. */
  advance(nowMs: number, forgetMs: number): void {
    for (const [key, { history }] of this.#edges) {
      history.advance(nowMs);
      if (nowMs - history.lastMs > forgetMs) this.#remove(key);
    }
    for (const [key, { lastMs }] of this.#beyond) {
      if (nowMs - lastMs > forgetMs) this.#beyond.delete(key);
    }
  }

  /** Whoever has most gives its quietest edge to one that has fewer by two at least. */
  #makeRoom(toldIn: string, nowMs: number): boolean {
    const [most, count] = [...this.#told].reduce((a, b) => (b[1] > a[1] ? b : a));
    if (count < (this.#told.get(toldIn) ?? 0) + 2) return false;
    let quietest: [string, ObservedEdge] | null = null;
    for (const one of this.#edges) {
      if (one[1].toldIn !== most) continue;
      if (quietest === null || one[1].history.lastMs < quietest[1].history.lastMs) quietest = one;
    }
    if (quietest === null) return false;
    this.#remove(quietest[0]);
    this.#omit(quietest[0], quietest[1].ref, nowMs);
    return true;
  }

  #omit(key: string, ref: EdgeRef, nowMs: number): void {
    if (this.#beyond.size < maxFleetEdges) this.#beyond.set(key, { ref, lastMs: nowMs });
  }

  #remove(key: string): void {
    const found = this.#edges.get(key);
    if (found === undefined) return;
    this.#edges.delete(key);
    this.#count(found.toldIn, -1);
  }

  #count(toldIn: string, more: number): void {
    const count = (this.#told.get(toldIn) ?? 0) + more;
    if (count === 0) this.#told.delete(toldIn);
    else this.#told.set(toldIn, count);
  }
}

function keyOf({ from, to, identity, service }: EdgeRef, teller: Teller): string {
  return JSON.stringify([from, to, identity, service, teller]);
}
