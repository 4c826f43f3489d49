// What the rest of the operator sees of the discovery server: what it needs, what it offers. Types only;
// server.ts makes it.

import type { ConnectionLimits } from '../../proxy/api/connection-guard.ts';
import type { OperatorIdentity } from '../ca/operator-identity.ts';
import type { Trust } from '../ca/trust.ts';
import type { Change, View } from '../model/view.ts';
import type { Clock } from '../resources/clock.ts';
import type { Translations } from '../translate/translations.ts';
import type { DiscoveryMetrics } from './metrics.ts';
import type { StreamState } from './stream-state.ts';

export interface DiscoveryDeps {
  /** Own certificate, key and trusted roots; taken up again after each change, without a restart. */
  identity: Pick<OperatorIdentity, 'current' | 'onChange'>;
  clock: Clock;
  translations: Translations;
  metrics: DiscoveryMetrics;
  /** Name of this replica: its pod's name. */
  replica: string;
  /** Other than the defaults: 20,000 connections, few of one address. */
  connections?: Partial<ConnectionLimits>;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, detail: object): void;
}

/** Where the leader is: this replica, another (`host:port` of its discovery port), or null: there is none. */
export type Leader = { self: true } | { self: false; address: string } | null;

/** Generations of policies as a replica has them: `kind/namespace/name` → `uid@generation`. */
export type ObservedPolicies = ReadonlyMap<string, string>;

export interface DiscoveryServer {
  /** Resolves with the port in use once connections are accepted. */
  listen(port: number, host?: string): Promise<number>;
  /**
   * To be called for each view of the model, in order, before anything reads `translations`. Views from
   * before it listens may go to `translations` directly.
   */
  onView(view: View, change: Change): void;
  /** All streams that are known here: own ones, and on the leader those that other replicas relay. */
  streams(): StreamState[];
  /** Views of the other replicas that relay to this one, by replica. */
  observed(): ReadonlyMap<string, ObservedPolicies>;
  /** Which roots the other replicas that relay to this one trust and use, by replica; null: not told yet. */
  replicaTrust(): ReadonlyMap<string, Trust | null>;
  /**
   * Called (gathered, some ms late) after acknowledgements, refusals, connects, disconnects; not for
   * statistics, which come all the time and are read when wanted.
   */
  onStreamsChanged(listener: () => void): () => void;
  /** Relay to this leader from now on. */
  setLeader(leader: Leader): void;
  /** Asks sidecars to connect elsewhere, then ends. */
  close(): Promise<void>;
}
