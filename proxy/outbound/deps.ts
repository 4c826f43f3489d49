// What the outbound side is made of; filled in by the composition root. Types only.

import type { Sessions } from '../exchange/sessions.ts';
import type { MirrorGate } from '../exchange/mirror.ts';
import type { NextRequestId } from '../exchange/request-id.ts';
import type { IdentityStore } from '../identity/store.ts';
import type { Io } from '../net/link.ts';
import type { ReadOriginalDestination } from '../net/original-destination.ts';
import type { HttpPool } from '../pool/http-pool.ts';
import type { Store } from '../state/store.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import type { Counters } from '../telemetry/counters.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { Resolver } from './resolver.ts';

export interface OutboundDeps {
  io: Io;
  store: Store;
  resolver: Resolver;
  identity: IdentityStore;
  pool: HttpPool;
  sessions: Sessions;
  counters: Counters;
  accessLog: AccessLog;
  originalDestination: ReadOriginalDestination;
  /** IPs of this pod. */
  ownAddresses: ReadonlySet<string>;
  /** From 0 up to 1. */
  random: () => number;
  nextRequestId: NextRequestId;
  mirrors: MirrorGate;
  tracer: Tracer;
  logger: Pick<Logger, 'info' | 'warn'>;
  listen: { host: string; port: number; reusePort?: boolean };
  maxConnections?: number;
  /** How long a silent client on an undeclared port is waited for before the upstream is opened too. */
  detectMs?: number;
}

/** Far above what a pod opens; reached only by a defect or an attack. */
export const defaultMaxConnections = 20_000;
export const defaultDetectMs = 50;
