// The next snapshot while it is made: what no resource of a push changes it takes over as it is, and a map is copied when
// the first of its entries changes. A snapshot in force never does.

import type { EndpointSet, PreparedDestination, PreparedWorkload, Snapshot } from './prepared.ts';

export class Draft {
  workload: PreparedWorkload | null;
  readonly changedSets = new Set<string>();
  readonly changedDestinations = new Set<string>();
  private readonly before: Snapshot;
  private ownDestinations: Map<string, PreparedDestination> | null = null;
  private ownEndpoints: Map<string, EndpointSet> | null = null;

  constructor(before: Snapshot) {
    this.before = before;
    this.workload = before.workload;
  }

  get destinations(): Snapshot['destinations'] {
    return this.ownDestinations ?? this.before.destinations;
  }

  get endpoints(): Snapshot['endpoints'] {
    return this.ownEndpoints ?? this.before.endpoints;
  }

  /** The pod's node was not known before. */
  get knowsNodeNow(): boolean {
    return this.before.workload === null && this.workload !== null;
  }

  putDestination(one: PreparedDestination): void {
    this.changedDestinations.add(one.name);
    this.ownDestinations ??= new Map(this.before.destinations);
    this.ownDestinations.set(one.name, one);
  }

  removeDestination(name: string): void {
    if (!this.destinations.has(name)) return;
    this.changedDestinations.add(name);
    this.ownDestinations ??= new Map(this.before.destinations);
    this.ownDestinations.delete(name);
  }

  putEndpoints(one: EndpointSet): void {
    this.changedSets.add(one.name);
    this.ownEndpoints ??= new Map(this.before.endpoints);
    this.ownEndpoints.set(one.name, one);
  }

  removeEndpoints(name: string): void {
    if (!this.endpoints.has(name)) return;
    this.changedSets.add(name);
    this.ownEndpoints ??= new Map(this.before.endpoints);
    this.ownEndpoints.delete(name);
  }

  /** It takes nothing more from then on. */
  snapshot(): Snapshot {
    const { workload, destinations, endpoints } = this;
    return { workload, destinations, endpoints };
  }
}
