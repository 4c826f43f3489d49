// Spans that wait to be sent, in the form in which they leave, in pieces of one batch each; bounded in number and in bytes. Encoded
// at once they take a quarter of the memory of their objects, and leave nothing behind for the garbage collector.

import { ProtobufWriter } from '../codec/protobuf.ts';
import { writeSpan } from './otlp.ts';
import type { Span } from './span.ts';

export interface EncodedSpans {
  /** Entries of ScopeSpans. */
  entries: Buffer;
  spans: number;
}

/** OpenTelemetry's own defaults (SDK specification, batch span processor). */
export const maxBatch = 512;
const maxQueued = 2048;
/** About as many of the longest spans as of usual ones: what others put into requests does not fill the memory. */
const maxQueuedBytes = 2 * 1024 * 1024;

export class SpanQueue {
  private readonly full: EncodedSpans[] = [];
  private readonly writer = new ProtobufWriter();
  private written = 0;
  private fullSpans = 0;
  private fullBytes = 0;

  get spans(): number {
    return this.fullSpans + this.written;
  }

  /** False: there is no room. */
  add(span: Span): boolean {
    if (this.spans >= maxQueued || this.fullBytes + this.writer.length >= maxQueuedBytes)
      return false;
    writeSpan(this.writer, span);
    this.written += 1;
    if (this.written >= maxBatch) this.seal();
    return true;
  }

  /** The oldest, at most a batch; null: there are none. */
  take(): EncodedSpans | null {
    if (this.full.length === 0 && this.written > 0) this.seal();
    const next = this.full.shift();
    if (next === undefined) return null;
    this.fullSpans -= next.spans;
    this.fullBytes -= next.entries.length;
    return next;
  }

  private seal(): void {
    const sealed = { entries: this.writer.finish(), spans: this.written };
    this.full.push(sealed);
    this.fullSpans += sealed.spans;
    this.fullBytes += sealed.entries.length;
    this.written = 0;
  }
}
