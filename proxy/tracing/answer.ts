// What a collector answered to a batch: whether it took it, how many spans of it not, and when to come again (OTLP specification
// 1.x, "Failures", "Partial Success", "OTLP/HTTP Throttling"). Pure.

import type { ExportResult } from './exporter.ts';

export type Protocol = 'grpc' | 'http';

/** CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS; and RESOURCE_EXHAUSTED. */
const laterCodes: ReadonlySet<number> = new Set([1, 4, 8, 10, 11, 14, 15]);
const laterStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** The answer says one number, and words for people; what is longer is not read. */
const maxBytes = 4096;
/** Whoever asks for more gets this much. */
const maxRetryAfterMs = 60_000;

export const later: ExportResult = { outcome: 'later', refused: 0, afterMs: 0 };
export const never: ExportResult = { outcome: 'never', refused: 0, afterMs: 0 };

export class CollectorAnswer {
  status = 0;
  /** As the field or the trailer says; undefined: neither did. */
  grpcStatus: number | undefined;
  /** The field's value; empty: there is none. */
  retryAfter = '';
  private readonly protocol: Protocol;
  private chunks: Buffer[] = [];
  private bytes = 0;

  constructor(protocol: Protocol) {
    this.protocol = protocol;
  }

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes <= maxBytes) this.chunks.push(chunk);
    else this.chunks = [];
  }

  /** `wallTimeMs`: where it is told as a date. */
  result(wallTimeMs: number): ExportResult {
    const outcome = this.outcome();
    if (outcome === 'sent') return { outcome, refused: this.refused(), afterMs: 0 };
    return { outcome, refused: 0, afterMs: retryAfterMs(this.retryAfter, wallTimeMs) };
  }

  private outcome(): ExportResult['outcome'] {
    const { status, grpcStatus } = this;
    if (status === 0) return 'later';
    if (this.protocol === 'grpc' && status === 200) {
      if (grpcStatus === 0) return 'sent';
      return laterCodes.has(grpcStatus ?? -1) ? 'later' : 'never';
    }
    if (status >= 200 && status < 300) return 'sent';
    return laterStatuses.has(status) ? 'later' : 'never';
  }

  private refused(): number {
    const body = Buffer.concat(this.chunks);
    return rejectedSpans(this.protocol === 'grpc' ? body.subarray(5) : body);
  }
}

/** RFC 9110 §10.2.3: seconds, or a date. 0: it says neither. At most a minute. */
export function retryAfterMs(value: string, wallTimeMs: number): number {
  const text = value.trim();
  if (text === '') return 0;
  const dateMs = text.endsWith(' GMT') ? Date.parse(text) : NaN;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : dateMs - wallTimeMs;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}

/** `partial_success.rejected_spans` of ExportTraceServiceResponse: both are field 1. 0 where it is not said, or not readable. */
export function rejectedSpans(body: Buffer): number {
  const partial = fieldOne(body);
  const rejected = Buffer.isBuffer(partial) ? fieldOne(partial) : null;
  return typeof rejected === 'number' && Number.isSafeInteger(rejected) ? rejected : 0;
}

/** Of a message of Protocol Buffers, where it comes first, as all encoders write it: its bytes, or its number. */
function fieldOne(message: Buffer): Buffer | number | null {
  const tag = message[0];
  const value = readVarint(message, 1);
  if (value === null) return null;
  if (tag === 0x08) return value.number;
  if (tag === 0x0a) return message.subarray(value.end, value.end + value.number);
  return null;
}

function readVarint(from: Buffer, start: number): { number: number; end: number } | null {
  let number = 0;
  for (let at = start; at < from.length && at < start + 8; at += 1) {
    number += (from[at]! & 0x7f) * 2 ** (7 * (at - start));
    if (from[at]! < 0x80) return { number, end: at + 1 };
  }
  return null;
}
