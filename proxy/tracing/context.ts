// The context of a trace as requests carry it: read from W3C Trace Context or B3, written as W3C, and as B3 too where it
// came so: an app may know nothing else. Pure.

import type { Fields } from '../codec/session.ts';

/** Ids are lower-case hexadecimal: 32 digits of a trace, 16 of a span; never all zeros. */
export interface TraceContext {
  readonly traceId: string;
  /** Of the caller's span: the parent of the next one. */
  readonly spanId: string;
  /** Null: whoever called left it open (B3 allows that). */
  readonly sampled: boolean | null;
}

/** What a request says; null: nothing that can be used, so a trace begins here. W3C is preferred to B3. */
export function readContext(fields: Fields): TraceContext | null {
  let w3c: TraceContext | null = null;
  let single: TraceContext | null = null;
  let seenW3c = false;
  let ids: B3Parts | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const first = name.charCodeAt(0);
    // t, b, x
    if (first !== 0x74 && first !== 0x62 && first !== 0x78) continue;
    const value = fields[i + 1]!;
    if (name === 'traceparent') {
      // Two of them: neither is to be believed (W3C Trace Context §3.2.1).
      w3c = seenW3c ? null : parseTraceparent(value);
      seenW3c = true;
    } else if (name === 'b3') single = parseB3(value);
    else if (name.startsWith('x-b3-')) ids = withPart(ids, name, value);
  }
  return w3c ?? single ?? (ids === null ? null : fromParts(ids));
}

const notSampledForm = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]$/;

/**
 * The caller decided against it, and said so in W3C's words alone: the request may go on as it is. Most requests are such, where
 * few are sampled; reading and writing their context anew would cost several times as much.
 */
export function saysNotSampled(fields: Fields): boolean {
  let found = false;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'traceparent') continue;
    if (found || !notSampledForm.test(fields[i + 1]!)) return false;
    found = true;
  }
  return found;
}

/** W3C Trace Context §3.2.2. */
const traceparentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Null where it is not valid: then the trace begins anew. Later versions are read as far as this one goes. */
export function parseTraceparent(text: string): TraceContext | null {
  const parts = traceparentForm.exec(text);
  if (parts === null) return null;
  const [, version, traceId = '', spanId = '', flags = '', rest] = parts;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (isZero(traceId) || isZero(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** B3 single header: `trace-span-sampled-parent`, the last two optional; or the sampling alone, which names no trace. */
const b3Form = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d]))?(?:-[0-9a-f]{16})?$/i;

function parseB3(text: string): TraceContext | null {
  const parts = b3Form.exec(text);
  return parts === null ? null : b3Context(parts[1]!, parts[2]!, parts[3]);
}

interface B3Parts {
  traceId: string;
  spanId: string;
  sampled: string | undefined;
}

function withPart(known: B3Parts | null, name: string, value: string): B3Parts {
  const parts = known ?? { traceId: '', spanId: '', sampled: undefined };
  switch (name) {
    case 'x-b3-traceid':
      return { ...parts, traceId: value };
    case 'x-b3-spanid':
      return { ...parts, spanId: value };
    case 'x-b3-sampled':
      return { ...parts, sampled: value };
    case 'x-b3-flags':
      return value === '1' ? { ...parts, sampled: 'd' } : parts;
    default:
      return parts;
  }
}

function fromParts({ traceId, spanId, sampled }: B3Parts): TraceContext | null {
  if (!/^([0-9a-f]{16}|[0-9a-f]{32})$/i.test(traceId) || !/^[0-9a-f]{16}$/i.test(spanId))
    return null;
  return b3Context(traceId, spanId, sampled);
}

/** `d` is debug, which samples. Some senders write true and false. */
function b3Context(trace: string, span: string, said: string | undefined): TraceContext | null {
  const traceId = trace.toLowerCase().padStart(32, '0');
  const spanId = span.toLowerCase();
  if (isZero(traceId) || isZero(spanId)) return null;
  if (said === undefined) return { traceId, spanId, sampled: null };
  return { traceId, spanId, sampled: ['1', 'd', 'true'].includes(said.toLowerCase()) };
}

function isZero(hex: string): boolean {
  return /^0+$/.test(hex);
}

/**
 * Puts the context in place of what the request came with, in place. `tracestate` stays while the trace goes on, and goes with a
 * trace that was not continued (W3C Trace Context §3.3).
 */
export function writeContext(
  fields: Fields,
  { traceId, spanId, sampled }: WrittenContext,
  continued: boolean,
): void {
  let kept = 0;
  let single = false;
  let many = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (isReplaced(name, continued)) {
      if (name === 'b3') single = true;
      else if (name.startsWith('x-b3-')) many = true;
      continue;
    }
    fields[kept] = name;
    fields[kept + 1] = fields[i + 1]!;
    kept += 2;
  }
  fields.length = kept;
  fields.push('traceparent', formatTraceparent(traceId, spanId, sampled));
  const decision = sampled ? '1' : '0';
  if (single) fields.push('b3', `${traceId}-${spanId}-${decision}`);
  if (!many) return;
  fields.push('x-b3-traceid', traceId, 'x-b3-spanid', spanId, 'x-b3-sampled', decision);
}

export type WrittenContext = TraceContext & { readonly sampled: boolean };

/** What goes on with the request beside the context; empty: none. */
export function traceStateOf(fields: Fields): string {
  const lines: string[] = [];
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i] === 'tracestate') lines.push(fields[i + 1]!);
  return lines.join(',');
}

function isReplaced(name: string, continued: boolean): boolean {
  switch (name.charCodeAt(0)) {
    case 0x74: // t
      return name === 'traceparent' || (!continued && name === 'tracestate');
    case 0x62: // b
      return name === 'b3';
    case 0x78: // x
      return name.startsWith('x-b3-');
    default:
      return false;
  }
}
