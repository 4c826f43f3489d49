// Decides of each request whether it is traced, gives it its ids and writes them into its fields; takes the spans of what
// ended. One per thread. While tracing is off nobody asks it for more than `on`.

import type { TracingSettings } from '../api/tracing.ts';
import type { Fields } from '../codec/session.ts';
import { readContext, saysNotSampled, traceStateOf, writeContext } from './context.ts';
import { createTraceIds, isSampled, type RandomBytes, type TraceIds } from './ids.ts';
import type { Span } from './span.ts';

/** Of a request whose span will be recorded. */
export interface RequestTrace {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the trace begins here. */
  readonly parentSpanId: string;
  readonly traceState: string;
}

export interface TracerDeps {
  clock: { nowMs(): number; wallTimeMs(): number };
  randomBytes: RandomBytes;
  record: (span: Span) => void;
}

/** Of the two clocks against each other, above which the machine's was set. */
const steppedMs = 2;

export class Tracer {
  /** False: a request needs nothing. */
  on = false;
  private readonly deps: TracerDeps;
  private readonly ids: TraceIds;
  private settings: TracingSettings | null = null;
  /** Unix time minus monotonic time. */
  private offsetMs = -Infinity;

  constructor(deps: TracerDeps) {
    this.deps = deps;
    this.ids = createTraceIds(deps.randomBytes);
  }

  set(settings: TracingSettings | null): void {
    this.settings = settings;
    this.on = settings !== null;
  }

  /** Of what arrives at a port of the pod; null: as everything. */
  samplingOfPort(port: number): number | null {
    return this.settings?.samplingOfPorts[port] ?? null;
  }

  /**
   * To be called where `on`. What the caller decided holds; a trace that begins here is sampled by `percent`, or as all are.
   * Null: it is not recorded. `fields` get the context in both cases, so that nobody on the way decides anew.
   */
  begin(fields: Fields, percent: number | null): RequestTrace | null {
    if (saysNotSampled(fields)) return null;
    const known = readContext(fields);
    const traceId = known?.traceId ?? this.ids.traceId();
    const share = percent ?? this.settings?.sampling ?? 0;
    const sampled = known?.sampled ?? isSampled(traceId, share);
    if (!sampled) {
      const spanId = known?.spanId ?? this.ids.spanId();
      writeContext(fields, { traceId, spanId, sampled }, known !== null);
      return null;
    }
    const traceState = known === null ? '' : traceStateOf(fields);
    const spanId = this.ids.spanId();
    writeContext(fields, { traceId, spanId, sampled }, known !== null);
    return { traceId, spanId, parentSpanId: known?.spanId ?? '', traceState };
  }

  /** `startedMs`: monotonic. It ends now. */
  record(
    trace: RequestTrace,
    startedMs: number,
    rest: Pick<Span, 'name' | 'kind' | 'attributes' | 'error'>,
  ): void {
    const nowMs = this.deps.clock.nowMs();
    const offsetMs = this.offset(nowMs);
    this.deps.record({
      ...trace,
      ...rest,
      startMs: offsetMs + startedMs,
      endMs: offsetMs + nowMs,
    });
  }

  /** The wall clock has whole milliseconds: the largest difference seen is the one without what they cut off. */
  private offset(nowMs: number): number {
    const seenMs = this.deps.clock.wallTimeMs() - nowMs;
    if (seenMs > this.offsetMs || seenMs < this.offsetMs - steppedMs) this.offsetMs = seenMs;
    return this.offsetMs;
  }
}
