// Spans in OpenTelemetry's wire form: ExportTraceServiceRequest of opentelemetry-proto 1.x (collector/trace/v1,
// trace/v1, common/v1, resource/v1), as protobuf. Pure.

import { ProtobufWriter } from '../codec/protobuf.ts';
import type { Attributes, Resource, Span } from './span.ts';

/** trace/v1 Span.SpanKind. */
const kinds = { server: 2, client: 3 } as const;
/** trace/v1 Status.StatusCode. */
const statusError = 2;
/** trace/v1 SpanFlags: whether the parent is in another process is known, and it is. */
const parentIsRemote = 0x100 | 0x200;
const sampledFlag = 1;
const nanosPerMs = 1_000_000n;

export function encodeTraces(
  resource: Resource,
  scopeVersion: string,
  spans: readonly Span[],
): Buffer {
  const out = new ProtobufWriter();
  out.message(1, (resourceSpans) => {
    resourceSpans.message(1, (message) => writeAttributes(message, 1, resource));
    resourceSpans.message(2, (scopeSpans) => {
      scopeSpans.message(1, (scope) => {
        scope.text(1, 'tsmesh');
        scope.text(2, scopeVersion);
      });
      for (const span of spans) scopeSpans.message(2, (message) => writeSpan(message, span));
    });
  });
  return out.finish();
}

function writeSpan(out: ProtobufWriter, span: Span): void {
  out.bytes(1, Buffer.from(span.traceId, 'hex'));
  out.bytes(2, Buffer.from(span.spanId, 'hex'));
  if (span.traceState !== '') out.text(3, span.traceState);
  if (span.parentSpanId !== '') out.bytes(4, Buffer.from(span.parentSpanId, 'hex'));
  out.text(5, span.name);
  out.varint(6, kinds[span.kind]);
  out.fixed64(7, nanosOf(span.startMs));
  out.fixed64(8, nanosOf(span.endMs));
  writeAttributes(out, 9, span.attributes);
  const { error } = span;
  if (error !== null)
    out.message(15, (status) => {
      status.text(2, error);
      status.varint(3, statusError);
    });
  out.fixed32(16, sampledFlag | (span.parentSpanId === '' ? 0 : parentIsRemote));
}

function nanosOf(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * nanosPerMs + BigInt(Math.round((ms - whole) * 1e6));
}

function writeAttributes(out: ProtobufWriter, field: number, attributes: Attributes): void {
  for (const [name, value] of attributes)
    out.message(field, (pair) => {
      pair.text(1, name);
      pair.message(2, (any) => writeValue(any, value));
    });
}

/** common/v1 AnyValue. */
function writeValue(out: ProtobufWriter, value: string | number | boolean): void {
  if (typeof value === 'string') out.text(1, value);
  else if (typeof value === 'boolean') out.varint(2, value ? 1 : 0);
  else if (Number.isSafeInteger(value) && value >= 0) out.varint(3, value);
  else out.double(4, value);
}
