// What either side of the sidecar offers to the composition root. Types only.

import type { AddressInfo } from 'node:net';

export interface Side {
  readonly address: AddressInfo;
  /** Requests not answered to their end yet. */
  inFlight(): number;
  /** Open connections, of any kind. */
  connections(): number;
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
