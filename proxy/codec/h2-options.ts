// Bounds, windows and timeouts of an HTTP/2 session, with their defaults.
import type { HuffmanUse } from './hpack-encoder.ts';
import { SlabPool } from './output.ts';

export interface H2Options {
  /** As RFC 9113 §10.5.1 counts, 32 bytes for each field included; a request above is answered 431. */
  maxHeaderListBytes: number;
  /** How many streams the peer may have open (server), or this side opens at most (client). */
  maxConcurrentStreams: number;
  /**
   * What the peer may send before it is consumed: on a stream at first, on one whose receiver keeps up, and in all. All
   * streams together grow by no more than the last. So 192 slow receivers hold the window and its loan together.
   */
  initialStreamWindowBytes: number;
  streamWindowBytes: number;
  connectionWindowBytes: number;
  /** So much more is granted while slow receivers hold the window of the connection: the others have to go on. */
  connectionLoanBytes: number;
  /**
   * The largest frame that is taken. DATA is never put together, so a large one costs no memory: between proxies
   * 65536 or more saves work. The default is that of RFC 9113, which test suites take for granted.
   */
  maxFrameBytes: number;
  /** Of both HPACK tables; the peer may want less of this side's. */
  headerTableBytes: number;
  huffman: HuffmanUse;
  /** `sendData` answers false above this many bytes queued on the stream, or on all of the connection. */
  highWaterBytes: number;
  connectionHighWaterBytes: number;
  /** About how much one `takeOutput` gives: enough to fill a socket, little enough to keep others' waits short. */
  batchBytes: number;
  /**
   * Multiplies the budget of h2-flood.ts. Between proxies, whose connections carry the traffic of many, timeouts of an
   * overloaded app look like rapid reset: there it is to be well above 1.
   */
  floodFactor: number;
  /** A PING is sent after so much silence, if streams are open; null: never. */
  keepaliveIntervalMs: number | null;
  /** The connection is given up when its answer takes longer. */
  keepaliveTimeoutMs: number;
  /** RFC 9113 §6.5.3. Long, because an app that is blocked is slow, not wrong. */
  settingsTimeoutMs: number;
  /** For a header block, or a frame that is not DATA, from its first octet to its last. */
  headTimeoutMs: number;
  /** A stream whose bytes the peer's windows or socket have not let through for so long is given up. */
  stallTimeoutMs: number;
  /** A server refuses further streams while so much waits for the client to open its windows. */
  maxQueuedBytes: number;
  /** A connection without streams is drained after this; null: never. */
  idleTimeoutMs: number | null;
  /** Server: from the first GOAWAY of a drain to the final one, if the peer does not answer sooner. */
  drainGraceMs: number;
  /** Give all sessions of a process the same one. */
  slabs: SlabPool;
}

export const H2_DEFAULTS: Omit<H2Options, 'slabs'> = {
  maxHeaderListBytes: 65536,
  maxConcurrentStreams: 1000,
  initialStreamWindowBytes: 131072,
  streamWindowBytes: 1048576,
  connectionWindowBytes: 8388608,
  connectionLoanBytes: 25165824,
  maxFrameBytes: 16384,
  headerTableBytes: 4096,
  huffman: 'never',
  highWaterBytes: 262144,
  connectionHighWaterBytes: 4194304,
  batchBytes: 262144,
  floodFactor: 1,
  keepaliveIntervalMs: null,
  keepaliveTimeoutMs: 10000,
  settingsTimeoutMs: 30_000,
  headTimeoutMs: 10_000,
  stallTimeoutMs: 300_000,
  maxQueuedBytes: 16777216,
  idleTimeoutMs: null,
  drainGraceMs: 1000,
};

export function h2Options(options: Partial<H2Options>): H2Options {
  return { ...H2_DEFAULTS, slabs: options.slabs ?? new SlabPool(), ...options };
}
