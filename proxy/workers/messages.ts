// What the main thread of a sidecar and its workers say to each other (`concurrency` above 1): plain
// values that structured cloning carries, in order per worker. Types only.

import type { ThreadView } from '../admin/inspect.ts';
import type { ProfileKind } from '../admin/profile.ts';
import type { ResourceError, VersionedResource } from '../api/discovery.ts';
import type { ResourceKey } from '../api/resources.ts';
import type { TrafficCounters } from '../api/statistics.ts';
import type { ListenerConfig } from '../config.ts';
import type { LogLevel } from '../errors.ts';
import type { Handshakes } from '../net/link.ts';
import type { CheckedIdentity, IdentityMaterial } from '../identity/certificate.ts';
import type { Direction, MirrorResult, RequestCell } from '../telemetry/counters.ts';
import type { OutsideFigures } from '../telemetry/outside.ts';
import type { LoopDelay } from '../telemetry/event-loop.ts';
import type { TapWish } from '../telemetry/tap.ts';

/** A checked identity as files: each thread makes its own TLS context of it. */
export interface SharedIdentity {
  material: IdentityMaterial;
  checked: CheckedIdentity;
}

/** Whether the operator can be asked; `none`: there is no operator (local file). */
export type RegistryLink = { type: 'none' } | { type: 'open' } | { type: 'lost'; forMs: number };

export interface WorkerSettings {
  /** From 1; the main thread, which carries traffic as well, is 0. */
  index: number;
  /** How many carry traffic, the main one included. */
  threads: number;
  ownAddresses: string[];
  /** With the ports that the main thread got. */
  outbound: ListenerConfig[];
  inbound: ListenerConfig[];
  logLevel: LogLevel;
  resources: VersionedResource[];
  identity: SharedIdentity | null;
  registry: RegistryLink;
}

/** `round`: the question that an `answer` belongs to. */
export type ToWorker =
  | { type: 'start'; round: number; settings: WorkerSettings }
  | { type: 'apply'; round: number; resources: VersionedResource[]; removed: ResourceKey[] }
  | { type: 'identity'; round: number; identity: SharedIdentity }
  | { type: 'registry'; registry: RegistryLink }
  | { type: 'log-level'; level: LogLevel }
  | { type: 'report'; round: number }
  | { type: 'profile'; round: number; kind: ProfileKind; seconds: number }
  | { type: 'inspect'; round: number }
  /** Null: nobody watches by this number any more. */
  | { type: 'tap'; id: number; wish: TapWish | null }
  | { type: 'drain'; token: number }
  | { type: 'refuse'; token: number }
  | { type: 'close'; round: number; graceMs: number };

/** What is open in one thread at one instant. */
export type Figures = Record<Direction, { inFlight: number; connections: number }>;

/** A series as plain values. */
export interface SeriesReport {
  name: string;
  totals: TrafficCounters;
  cells: RequestCell[];
  requestSizes: number[];
  responseSizes: number[];
  requestBytes: number;
  responseBytes: number;
  latencySumMs: number;
  retries: number;
  ejections: Map<string, number>;
  spillovers: number;
  mirrors: Record<MirrorResult, number>;
  sentBytes: number;
  receivedBytes: number;
  errors: Map<string, number>;
  decisions: Map<string, number>;
}

/** What one thread counted. */
export type SeriesOfThread = Record<Direction | 'callers', SeriesReport[]> & {
  totals: Record<Direction, TrafficCounters>;
};

export interface WorkerReport {
  series: SeriesOfThread;
  outside: OutsideFigures[];
  figures: Figures;
  pooled: number;
  accessLogDropped: number;
  spans: { exported: number; dropped: number };
  handshakes: Handshakes;
  eventLoop: LoopDelay;
  heapUsed: number;
  /** Serial of the certificate in force, null before the first. */
  serial: string | null;
}

export interface Answer {
  /** Of `start` and `apply`. */
  errors?: ResourceError[];
  report?: WorkerReport;
  profile?: unknown;
  /** Of `inspect`. */
  view?: ThreadView;
}

export type FromWorker =
  | { type: 'answer'; round: number; answer: Answer }
  /** A destination that this worker does not hold. */
  | { type: 'wanted'; name: string }
  /** Destinations that this worker has forgotten. */
  | { type: 'unwanted'; names: string[] }
  /** As a TapListener hears it. */
  | { type: 'tapped'; id: number; line: string; leftOut: number }
  /** While draining; `token` of the last `drain` or `refuse` that was obeyed before it was counted. */
  | { type: 'figures'; token: number; figures: Figures };
