// One span as it is recorded: what a sidecar did for one request. Types only; otlp.ts gives it its form on the wire.

export type SpanKind = 'client' | 'server';

/** Names are those of OpenTelemetry's semantic conventions; values of the wire's three types. */
export type Attributes = readonly (readonly [name: string, value: string | number | boolean])[];

export interface Span {
  /** Lower-case hexadecimal. */
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the trace begins here. */
  readonly parentSpanId: string;
  /** As the request carried it; empty: none. */
  readonly traceState: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** Unix time in milliseconds, with fraction. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** Set where it failed, in words. */
  readonly error: string | null;
}

/** What is the same for all spans of a sidecar: service.name, k8s.pod.name, … */
export type Resource = Attributes;
