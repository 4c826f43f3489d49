// The stream between a sidecar and the operator: gRPC (method `discoveryMethod`), messages in JSON
// (content type application/grpc+json), semantics of delta-xDS: subscribe by name, push with a nonce,
// answer by ACK or NACK per resource. Types only.

import type { Resource, ResourceKey } from './resources.ts';
import type { Statistics } from './statistics.ts';

export const discoveryMethod = '/tsmesh.discovery.v1.Discovery/Stream';
/** Between operator replicas: what a sidecar told a replica that is not leader. */
export const relayMethod = '/tsmesh.discovery.v1.Relay/Stream';

/** First message of a stream. The operator checks it against the certificate and the source address. */
export interface Hello {
  pod: { namespace: string; name: string; uid: string; ips: string[] };
  proxyVersion: string;
  /** Resources that the sidecar holds and their versions: what is still true is not sent again. */
  held: Record<ResourceKey, string>;
  /** Names of Destinations that it wants; `Workload/self` is always sent. */
  subscribe: string[];
}

export interface ResourceError {
  key: ResourceKey;
  /** JSON pointer into the resource. */
  path: string;
  message: string;
}

/**
 * Sidecar to operator; exactly one field is set. Subscriptions name Destinations; the Endpoints that
 * a held Destination refers to are sent with it, without being asked for, and stay until the operator
 * removes them. Whoever unsubscribes has dropped the Destination already.
 */
export interface UpMessage {
  hello?: Hello;
  subscribe?: string[];
  unsubscribe?: string[];
  /** After the swap: every resource of the push is in force, but for those listed in `errors`. */
  ack?: { nonce: string; errors: ResourceError[] };
  statistics?: Statistics;
  /** The pod is going: send it no more, count it no longer among the affected. */
  draining?: true;
}

/** Operator to sidecar; exactly one field is set. */
export interface DownMessage {
  push?: Push;
  /** This replica is going: connect again. */
  reconnect?: true;
}

export interface Push {
  nonce: string;
  resources: VersionedResource[];
  removed: ResourceKey[];
}

export interface VersionedResource {
  /** Hash of the content, equal on all replicas. */
  version: string;
  resource: Resource;
}
