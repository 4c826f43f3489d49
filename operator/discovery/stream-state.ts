// What the operator knows of one sidecar's stream: plain data, passed between replicas as JSON and read
// by the statuses. Types only.

import type { ResourceKey } from '../../proxy/api/resources.ts';
import type { Statistics } from '../../proxy/api/statistics.ts';
import type { ShapedBy } from '../translate/translated.ts';

export interface Rejection {
  version: string;
  /** JSON pointer into the resource. */
  path: string;
  message: string;
}

/** One resource as the sidecar has it. */
export interface HeldResource {
  key: ResourceKey;
  /** Version in force; null: none yet. */
  acked: string | null;
  /** Policies that shaped the version in force; null: not known (a version from before this operator). */
  ackedBy: ShapedBy[] | null;
  /** Version on its way, not acknowledged yet. */
  sent: string | null;
  /** Policies that shaped it. */
  sentBy: ShapedBy[] | null;
  /** The last version that the sidecar refused, until it accepts one. */
  rejected: Rejection | null;
}

export interface StreamState {
  pod: { namespace: string; name: string; uid: string };
  /** Where the sidecar is connected. */
  replica: string;
  connectedAtMs: number;
  proxyVersion: string;
  /** The pod is going and wants no more configuration. */
  draining: boolean;
  /** Names of Destinations. */
  subscriptions: string[];
  resources: HeldResource[];
  /** Cumulative, as last reported. */
  statistics: Statistics | null;
  /** When they came, Unix milliseconds. */
  statisticsAtMs: number;
}
