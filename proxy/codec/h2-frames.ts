// Numbers of HTTP/2 (RFC 9113 §6, §7) and writers for its small frames. Layout only: no state, no decisions.
import type { Output } from './output.ts';

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const H2_ERROR = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  connect: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

export const FRAME_HEADER_BYTES = 9;
export const LARGEST_WINDOW = 0x7fffffff;
export const LARGEST_STREAM_ID = 0x7fffffff;
/** RFC 9113 §6.5.2: what holds until the peer's settings say otherwise. */
export const DEFAULT_WINDOW = 65535;
export const DEFAULT_MAX_FRAME = 16384;

/** The four parts of a frame header, in one object so that writers stay within four parameters. */
export interface FrameHeader {
  length: number;
  type: number;
  flags: number;
  id: number;
}

export function writeFrameHeader(into: Buffer, at: number, frame: FrameHeader): void {
  const { length, id } = frame;
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = frame.type;
  into[at + 4] = frame.flags;
  write32(into, at + 5, id);
}

export function write32(into: Buffer, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

/** A frame whose payload is one 32-bit number. */
function writeNumberFrame(out: Output, type: number, id: number, value: number): void {
  const { buffer, used } = out.open(FRAME_HEADER_BYTES + 4);
  writeFrameHeader(buffer, used, { length: 4, type, flags: 0, id });
  write32(buffer, used + FRAME_HEADER_BYTES, value);
  out.wrote(FRAME_HEADER_BYTES + 4);
}

export function writeRstStream(out: Output, id: number, code: number): void {
  writeNumberFrame(out, FRAME.rstStream, id, code);
}

export function writeWindowUpdate(out: Output, id: number, increment: number): void {
  writeNumberFrame(out, FRAME.windowUpdate, id, increment);
}

export function writePing(out: Output, ack: boolean, payload: Buffer): void {
  const { buffer, used } = out.open(FRAME_HEADER_BYTES + 8);
  writeFrameHeader(buffer, used, { length: 8, type: FRAME.ping, flags: ack ? FLAG.ack : 0, id: 0 });
  payload.copy(buffer, used + FRAME_HEADER_BYTES, 0, 8);
  out.wrote(FRAME_HEADER_BYTES + 8);
}

/** `text` must be ASCII; it is for the eyes of whoever reads the peer's log. */
export function writeGoaway(out: Output, lastId: number, code: number, text: string): void {
  const length = 8 + text.length;
  const { buffer, used } = out.open(FRAME_HEADER_BYTES + length);
  writeFrameHeader(buffer, used, { length, type: FRAME.goaway, flags: 0, id: 0 });
  write32(buffer, used + 9, lastId);
  write32(buffer, used + 13, code);
  buffer.write(text, used + 17, 'latin1');
  out.wrote(FRAME_HEADER_BYTES + length);
}
