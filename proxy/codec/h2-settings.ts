// SETTINGS of HTTP/2 (RFC 9113 §6.5, RFC 8441 §3): what the peer said, checked, and what this side says.
import { DEFAULT_MAX_FRAME, DEFAULT_WINDOW, FLAG, FRAME, FRAME_HEADER_BYTES } from './h2-frames.ts';
import { H2_ERROR, LARGEST_WINDOW, write32, writeFrameHeader } from './h2-frames.ts';
import { writeWindowUpdate } from './h2-frames.ts';
import type { H2Options } from './h2-options.ts';
import { ENTRY_OVERHEAD } from './hpack-table.ts';
import type { Output } from './output.ts';

const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** Values that a client takes on faith until the server's settings are there. */
const STREAMS_UNTIL_TOLD = 100;
const LARGEST_FRAME_SETTING = 16777215;

export class PeerSettings {
  headerTableSize = 4096;
  maxConcurrentStreams = STREAMS_UNTIL_TOLD;
  initialWindowSize = DEFAULT_WINDOW;
  maxFrameSize = DEFAULT_MAX_FRAME;
  maxHeaderListSize = Infinity;
  enableConnectProtocol = false;
  received = false;

  /** Takes a whole payload; returns an error code, `none` if all is well. `fromServer`: a client listens. */
  apply(payload: Buffer, fromServer: boolean): number {
    if (!this.received) this.maxConcurrentStreams = LARGEST_WINDOW;
    this.received = true;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const id = payload.readUInt16BE(at);
      const error = this.#set(id, payload.readUInt32BE(at + 2), fromServer);
      if (error !== H2_ERROR.none) return error;
    }
    return H2_ERROR.none;
  }

  /** Whether a header list is within what the peer said it takes, counted as RFC 9113 §6.5.2 says. */
  takes(octets: number, count: number): boolean {
    return octets + count * ENTRY_OVERHEAD <= this.maxHeaderListSize;
  }

  #set(id: number, value: number, fromServer: boolean): number {
    switch (id) {
      case SETTING.headerTableSize:
        this.headerTableSize = value;
        break;
      case SETTING.enablePush:
        if (value > 1 || (fromServer && value === 1)) return H2_ERROR.protocol;
        break;
      case SETTING.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        break;
      case SETTING.initialWindowSize:
        if (value > LARGEST_WINDOW) return H2_ERROR.flowControl;
        this.initialWindowSize = value;
        break;
      case SETTING.maxFrameSize:
        if (value < DEFAULT_MAX_FRAME || value > LARGEST_FRAME_SETTING) return H2_ERROR.protocol;
        this.maxFrameSize = value;
        break;
      case SETTING.maxHeaderListSize:
        this.maxHeaderListSize = value;
        break;
      case SETTING.enableConnectProtocol:
        // Once on, it stays on (RFC 8441 §3).
        if (value > 1 || (value === 0 && this.enableConnectProtocol)) return H2_ERROR.protocol;
        this.enableConnectProtocol = value === 1;
        break;
    }
    return H2_ERROR.none;
  }
}

/** Of each stream that the peer sends on. */
export function initialWindow(options: H2Options): number {
  return Math.min(options.initialStreamWindowBytes, options.streamWindowBytes);
}

/** This side's SETTINGS, and the connection's window, which only WINDOW_UPDATE can open (RFC 9113 §6.9.2). */
export function writeGreeting(out: Output, options: H2Options, isServer: boolean): void {
  const pairs: number[] = [];
  pairs.push(SETTING.headerTableSize, options.headerTableBytes);
  pairs.push(SETTING.initialWindowSize, initialWindow(options));
  pairs.push(SETTING.maxFrameSize, options.maxFrameBytes);
  pairs.push(SETTING.maxHeaderListSize, options.maxHeaderListBytes);
  if (isServer) {
    pairs.push(SETTING.maxConcurrentStreams, options.maxConcurrentStreams);
    pairs.push(SETTING.enableConnectProtocol, 1);
  } else pairs.push(SETTING.enablePush, 0);
  writeSettings(out, pairs);
  const more = options.connectionWindowBytes - DEFAULT_WINDOW;
  if (more > 0) writeWindowUpdate(out, 0, more);
}

/** `pairs`: id, value, id, value, … */
function writeSettings(out: Output, pairs: readonly number[]): void {
  const length = (pairs.length / 2) * 6;
  const { buffer, used } = out.open(FRAME_HEADER_BYTES + length);
  writeFrameHeader(buffer, used, { length, type: FRAME.settings, flags: 0, id: 0 });
  let at = used + FRAME_HEADER_BYTES;
  for (let i = 0; i < pairs.length; i += 2) {
    buffer[at] = 0;
    buffer[at + 1] = pairs[i]!;
    write32(buffer, at + 2, pairs[i + 1]!);
    at += 6;
  }
  out.wrote(FRAME_HEADER_BYTES + length);
}

export function writeSettingsAck(out: Output): void {
  const { buffer, used } = out.open(FRAME_HEADER_BYTES);
  writeFrameHeader(buffer, used, { length: 0, type: FRAME.settings, flags: FLAG.ack, id: 0 });
  out.wrote(FRAME_HEADER_BYTES);
}
