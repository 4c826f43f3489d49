// All streams that this replica knows of: its own, and those that other replicas relay to it. A pod counts
// once, where it connected last.

import type { Trust } from '../ca/trust.ts';
import type { ObjectKey } from '../model/view.ts';
import { objectKey } from '../model/view.ts';
import type { RelayMessage } from './relay-messages.ts';
import type { StreamState } from './stream-state.ts';

interface Replica {
  streams: Map<ObjectKey, StreamState>;
  observed: ReadonlyMap<string, string>;
  trust: Trust | null;
}

export class StreamTable {
  readonly #replicas = new Map<string, Replica>();

  /** A replica relays (again): what it said before is void. */
  begin(replica: string): void {
    this.#replicas.set(replica, { streams: new Map(), observed: new Map(), trust: null });
  }

  end(replica: string): void {
    this.#replicas.delete(replica);
  }

  take(replica: string, message: RelayMessage): void {
    const known = this.#replicas.get(replica);
    if (known === undefined) return;
    for (const stream of message.streams ?? []) known.streams.set(podOf(stream), stream);
    for (const { pod, ...news } of message.statistics ?? []) {
      const stream = known.streams.get(pod);
      if (stream !== undefined) known.streams.set(pod, { ...stream, ...news });
    }
    for (const pod of message.gone ?? []) known.streams.delete(pod);
    if (message.observed !== undefined) {
      known.observed = new Map(Object.entries(message.observed));
    }
    if (message.trust !== undefined) known.trust = message.trust;
  }

  observed(): Map<string, ReadonlyMap<string, string>> {
    return new Map([...this.#replicas].map(([name, { observed }]) => [name, observed]));
  }

  /** Of the other replicas; null: not told yet. */
  trust(): Map<string, Trust | null> {
    return new Map([...this.#replicas].map(([name, { trust }]) => [name, trust]));
  }

  relayed(): StreamState[] {
    return [...this.#replicas.values()].flatMap(({ streams }) => [...streams.values()]);
  }

  merged(own: readonly StreamState[]): StreamState[] {
    const byPod = new Map<ObjectKey, StreamState>();
    for (const stream of [...own, ...this.relayed()]) {
      const known = byPod.get(podOf(stream));
      if (known !== undefined && known.connectedAtMs >= stream.connectedAtMs) continue;
      byPod.set(podOf(stream), stream);
    }
    return [...byPod.values()];
  }
}

export function podOf(stream: StreamState): ObjectKey {
  return objectKey(stream.pod.namespace, stream.pod.name);
}
