// Bounds and timeouts of an HTTP/1.1 session, with their defaults.
import { SlabPool } from './output.ts';

export interface H1Options {
  /** Request line or status line and fields together; more is answered 431 (or 414). */
  maxHeadBytes: number;
  maxFields: number;
  /** `sendData` answers false above this many bytes of output. */
  highWaterBytes: number;
  /** `wantsRead` turns false above this many received body bytes that were not given back by `consumed`. */
  receiveWindowBytes: number;
  /** A connection between two exchanges ends after this; null: never. */
  idleTimeoutMs: number | null;
  /** Server: from the first byte of a head to its end (408 after that); null: unlimited. */
  headTimeoutMs: number | null;
  /** Server: the scheme of requests in origin-form. */
  scheme: string;
  /**
   * Server: true: a FIN after a whole request is only the end of requests, and the answer is still sent. False: it
   * is the client going away, which is how most clients abort.
   */
  allowHalfClose: boolean;
  /** Give all sessions of a process the same one. */
  slabs: SlabPool;
}

export const H1_DEFAULTS: Omit<H1Options, 'slabs'> = {
  maxHeadBytes: 65536,
  maxFields: 256,
  highWaterBytes: 262144,
  receiveWindowBytes: 262144,
  idleTimeoutMs: null,
  headTimeoutMs: 10000,
  scheme: 'http',
  allowHalfClose: false,
};

export function h1Options(options: Partial<H1Options>): H1Options {
  return { ...H1_DEFAULTS, slabs: options.slabs ?? new SlabPool(), ...options };
}
