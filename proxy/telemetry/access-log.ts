// The access log: one line per request or connection, written in batches, dropped and counted where standard
// output does not keep up. It decides by mode and share only; it measures nothing. What a line is: access-line.ts.

import type { AccessLogSettings } from '../api/access-log.ts';
import { jsonLine, textLine } from './access-line.ts';
import type { Direction } from './counters.ts';
import type { Tap } from './tap.ts';

export const accessLogOff: AccessLogSettings = {
  mode: 'off',
  format: 'json',
  sampling: 100,
  decidedBy: '',
};

export interface AccessEntry {
  direction: Direction;
  /** Host for people (outbound), or port (inbound). */
  destination: string;
  /** Endpoint that was used, `address:port`; empty if none. */
  endpoint: string;
  /** Route name, or empty. */
  route: string;
  /** `method path` without its query for HTTP, empty for opaque connections. */
  method: string;
  authority: string;
  path: string;
  /** 0: broken off, or not HTTP. */
  status: number;
  grpcStatus: number;
  /** Verified SPIFFE id of the other end (inbound: of the caller), or empty. */
  peer: string;
  /** Where the connection came from (inbound): of a caller without an identity all there is. */
  peerAddress: string;
  mtls: boolean;
  requestId: string;
  durationMs: number;
  attempts: number;
  sentBytes: number;
  receivedBytes: number;
  /** Flag of proxyErrors, or empty. */
  flag: string;
  /** Detail of the error: which policy, which cause. */
  detail: string;
  /** Outside the mesh: the host that the app says it calls, and in which way it says so. */
  claimedHost?: string;
  claimedBy?: 'sni' | 'host';
  /** Of a refusal by policy, or a remark of one. */
  policy?: string;
  rule?: string;
  reason?: string;
  /** `HTTP/1.1`, `HTTP/2`, `gRPC` or `TCP`. */
  protocol?: string;
  /** Of the W3C trace context that the request came with. */
  traceId?: string;
  /** From the beginning to the head of the answer that was passed on; -1: there was none. */
  firstByteMs?: number;
  /** How long the last attempt waited for its connection; -1: it got none. */
  connectMs?: number;
}

export interface AccessLog {
  /** Read before an entry is built, so that nothing is built for nothing. */
  wants(failed: boolean): boolean;
  write(entry: AccessEntry): void;
  set(settings: AccessLogSettings): void;
  /** Lines lost because standard output did not keep up. */
  dropped(): number;
  flush(): void;
}

export interface AccessLogOutput {
  /** False: full, wait for `drain`. */
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Characters held while standard output is slow: some seconds of a busy sidecar. */
const maxPendingChars = 1 << 20;
/** Characters collected before they are written without waiting for the end of the turn. */
const batchChars = 32 << 10;

export interface AccessLogDeps {
  output: AccessLogOutput;
  wallTimeMs(): number;
  /** Runs once this turn of the event loop is over. */
  afterTurn(run: () => void): void;
  /** From 0 up to 1. */
  random(): number;
  /** SPIFFE id of this pod; empty before the first certificate. */
  self(): string;
  /** Who watches live gets entries that the log does not want. */
  tap: Pick<Tap, 'active' | 'take'>;
}

export function createAccessLog(deps: AccessLogDeps): AccessLog {
  let { mode, format, sampling } = accessLogOff;
  let pending = '';
  let scheduled = false;
  let blocked = false;
  let lost = 0;
  /** What the last question was answered for the log itself. */
  let logged = true;
  /** Many lines belong to one millisecond. */
  let timeMs = NaN;
  let time = '';

  function flush(): void {
    scheduled = false;
    if (blocked || pending === '') return;
    const text = pending;
    pending = '';
    if (deps.output.write(text)) return;
    blocked = true;
    deps.output.once('drain', () => {
      blocked = false;
      flush();
    });
  }

  function lineOf(entry: AccessEntry): string {
    const nowMs = deps.wallTimeMs();
    if (nowMs !== timeMs) {
      timeMs = nowMs;
      time = new Date(nowMs).toISOString();
    }
    return (format === 'json' ? jsonLine : textLine)(entry, time, deps.self());
  }

  return {
    wants(failed) {
      if (failed) logged = mode !== 'off';
      else logged = mode === 'all' && (sampling === 100 || deps.random() * 100 < sampling);
      return logged || deps.tap.active;
    },
    write(entry) {
      if (deps.tap.active) {
        deps.tap.take(entry);
        if (!logged) return;
      }
      if (pending.length >= maxPendingChars) {
        lost += 1;
        return;
      }
      pending += lineOf(entry);
      if (pending.length >= batchChars) flush();
      else if (!scheduled) {
        scheduled = true;
        deps.afterTurn(flush);
      }
    },
    set(next) {
      ({ mode, format, sampling } = next);
    },
    dropped: () => lost,
    flush,
  };
}
