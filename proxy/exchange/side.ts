// What either side of the sidecar offers to the composition root. Types only.

import type { AddressInfo } from 'node:net';

/** One accepted connection, for people. */
export interface OpenConnection {
  /** `address:port` of the other end. */
  from: string;
  /** Where it was to go. */
  to: string;
  /** `HTTP/1.1`, `HTTP/2`, `TCP`; empty: not known yet. */
  carries: string;
  /** Identity that the other end proved; empty: none, or the own app. */
  peer: string;
  /** Under way on it. */
  requests: number;
  ageMs: number;
}

export interface Side {
  readonly address: AddressInfo;
  /** Requests not answered to their end yet. */
  inFlight(): number;
  /** Open connections, of any kind. */
  connections(): number;
  /** What is open, for people. */
  list(): OpenConnection[];
  /** Takes no new requests on open HTTP connections, says so to their peers, lets open ones finish. */
  drain(): void;
  /** From now on nothing reaches the app: mesh peers hear "not processed", others a refusal. */
  refuseNew(): void;
  /**
   * Accepts no more, lets HTTP connections end in order (their peers learn which requests were not
   * processed), and ends the rest after that, or after the grace.
   */
  close(graceMs: number): Promise<void>;
  /** Accepts no more and ends everything at once. */
  destroy(): void;
}
