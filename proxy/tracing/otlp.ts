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

/** `entries`: what writeSpan wrote. */
export function encodeTraces(resource: Resource, scopeVersion: string, entries: Buffer): Buffer {
  const out = new ProtobufWriter();
  const resourceSpans = out.begin(1);
  const about = out.begin(1);
  writeAttributes(out, 1, resource);
  out.end(about);
  const scopeSpans = out.begin(2);
  const scope = out.begin(1);
  out.text(1, 'tsmesh');
  out.text(2, scopeVersion);
  out.end(scope);
  out.written(entries);
  out.end(scopeSpans);
  out.end(resourceSpans);
  return out.finish();
}

/** As an entry of ScopeSpans. */
export function writeSpan(out: ProtobufWriter, span: Span): void {
  const begin = out.begin(2);
  out.hex(1, span.traceId);
  out.hex(2, span.spanId);
  if (span.traceState !== '') out.text(3, span.traceState);
  if (span.parentSpanId !== '') out.hex(4, span.parentSpanId);
  out.text(5, cut(span.name));
  out.varint(6, kinds[span.kind]);
  writeTime(out, 7, span.startMs);
  writeTime(out, 8, span.endMs);
  writeAttributes(out, 9, span.attributes);
  const { error } = span;
  if (error !== null) writeError(out, cut(error));
  out.fixed32(16, sampledFlag | (span.parentSpanId === '' ? 0 : parentIsRemote));
  out.end(begin);
}

/** Paths and headers are as long as a client likes. */
const maxTextChars = 1024;

function cut(text: string): string {
  return text.length <= maxTextChars ? text : `${text.slice(0, maxTextChars - 3)}...`;
}

function writeError(out: ProtobufWriter, error: string): void {
  const status = out.begin(15);
  out.text(2, error);
  out.varint(3, statusError);
  out.end(status);
}

/** Nanoseconds since 1970 are beyond 53 bits: made of the parts above and below 2 ** 21 milliseconds. */
function writeTime(out: ProtobufWriter, field: number, ms: number): void {
  const whole = Math.floor(ms);
  const above = Math.floor(whole / 2 ** 21) * 1e6;
  const below = (whole % 2 ** 21) * 1e6 + Math.round((ms - whole) * 1e6);
  const rest = (above % 2 ** 11) * 2 ** 21 + below;
  const high = Math.floor(above / 2 ** 11) + Math.floor(rest / 2 ** 32);
  out.fixed64(field, high, rest % 2 ** 32);
}

function writeAttributes(out: ProtobufWriter, field: number, attributes: Attributes): void {
  for (const [name, value] of attributes) {
    const pair = out.begin(field);
    out.text(1, name);
    const any = out.begin(2);
    writeValue(out, value);
    out.end(any);
    out.end(pair);
  }
}

/** common/v1 AnyValue. */
function writeValue(out: ProtobufWriter, value: string | number | boolean): void {
  if (typeof value === 'string') out.text(1, cut(value));
  else if (typeof value === 'boolean') out.varint(2, value ? 1 : 0);
  else if (Number.isSafeInteger(value) && value >= 0) out.varint(3, value);
  else out.double(4, value);
}
