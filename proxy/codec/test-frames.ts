// For tests: HTTP/2 frames written and read by hand, and sessions that have shaken hands.
import { H2_PREFACE } from './detect.ts';
import { createH2ClientSession } from './h2-client.ts';
import { FLAG, FRAME, H2_ERROR } from './h2-frames.ts';
import type { H2Options } from './h2-options.ts';
import { createH2ServerSession } from './h2-server.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import type { RequestHead, ResponseHead, Session } from './session.ts';
import { Recorder, bytesOf, recordRequests, request } from './test-recorder.ts';
import type { Exchange } from './test-recorder.ts';

export function frame(
  type: number,
  flags: number,
  id: number,
  payload: string | Buffer = '',
): Buffer {
  const body = typeof payload === 'string' ? bytesOf(payload) : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, body]);
}

export function number(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

/** A block without dynamic entries, so that blocks may come in any order. */
export function block(...fields: string[]): Buffer {
  const octets = fields.reduce((sum, part) => sum + part.length, 0);
  const into = Buffer.alloc(HpackEncoder.room(octets, fields.length / 2));
  const encoder = new HpackEncoder(4096, 'smaller');
  encoder.begin(into, 0);
  for (let i = 0; i < fields.length; i += 2) encoder.field(fields[i]!, fields[i + 1]!, true);
  return Buffer.from(into.subarray(0, encoder.end()));
}

export const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];
export const POST = [':method', 'POST', ...GET.slice(2)];
export const END = FLAG.endHeaders | FLAG.endStream;
export const headers = (id: number, flags: number, ...fields: string[]): Buffer =>
  frame(FRAME.headers, flags, id, block(...fields));
export const setting = (id: number, value: number): Buffer =>
  frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, id]), number(value)]));
export const SETTINGS = frame(FRAME.settings, 0, 0);
export const GOOD_GET = headers(1, END, ...GET);
export const OPEN_POST = headers(1, FLAG.endHeaders, ...POST);

export interface Sent {
  type: number;
  flags: number;
  id: number;
  payload: Buffer;
}

export function framesOf(bytes: Buffer): Sent[] {
  const frames: Sent[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      id: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return frames;
}

export const take = (session: Session): Sent[] => framesOf(Buffer.concat(session.takeOutput()));
export const codeOf = (sent: Sent[], type: number): number | null => {
  const found = sent.find((one) => one.type === type);
  if (found === undefined) return null;
  return found.payload.readUInt32BE(type === FRAME.goaway ? 4 : 0);
};

export function server(options: Partial<H2Options> = {}, answer?: (exchange: Exchange) => void) {
  const session = createH2ServerSession(options);
  const exchanges = recordRequests(session, answer);
  session.receive(Buffer.concat([H2_PREFACE, SETTINGS]), 0);
  session.takeOutput();
  return { session, exchanges };
}

export function client(over: Partial<RequestHead> = {}, options: Partial<H2Options> = {}) {
  const session = createH2ClientSession(options);
  const got = new Recorder<ResponseHead>();
  const stream = session.open(request(over), true, got);
  session.receive(SETTINGS, 0);
  session.takeOutput();
  return { session, got, stream };
}

export const CONNECTION_ERRORS: readonly (readonly [string, Buffer, number])[] = [
  ['DATA on stream 0', frame(FRAME.data, 0, 0, 'x'), H2_ERROR.protocol],
  ['DATA on an idle stream', frame(FRAME.data, 0, 1, 'x'), H2_ERROR.protocol],
  [
    'DATA with more padding than payload',
    Buffer.concat([OPEN_POST, frame(0, FLAG.padded, 1, '\x05x')]),
    H2_ERROR.protocol,
  ],
  [
    'DATA padded and empty',
    Buffer.concat([OPEN_POST, frame(0, FLAG.padded, 1)]),
    H2_ERROR.frameSize,
  ],
  ['HEADERS on stream 0', headers(0, END, ...GET), H2_ERROR.protocol],
  ['HEADERS on an even stream', headers(2, END, ...GET), H2_ERROR.protocol],
  [
    'HEADERS below the last stream',
    Buffer.concat([headers(5, END, ...GET), headers(3, END, ...GET)]),
    H2_ERROR.protocol,
  ],
  [
    'HEADERS with too much padding',
    frame(FRAME.headers, END | FLAG.padded, 1, '\x09x'),
    H2_ERROR.protocol,
  ],
  [
    'HEADERS too short for priority',
    frame(FRAME.headers, END | FLAG.priority, 1, 'xx'),
    H2_ERROR.protocol,
  ],
  [
    'HEADERS that depend on themselves',
    frame(FRAME.headers, END | FLAG.priority, 1, '\0\0\0\x01\x10'),
    H2_ERROR.protocol,
  ],
  [
    'HPACK that is broken',
    frame(FRAME.headers, END, 1, '\xff\xff\xff\xff\xff'),
    H2_ERROR.compression,
  ],
  [
    'a frame amid a header block',
    Buffer.concat([headers(1, 1, ...GET), frame(FRAME.ping, 0, 0, '12345678')]),
    H2_ERROR.protocol,
  ],
  [
    'DATA amid a header block',
    Buffer.concat([headers(1, 1, ...GET), frame(FRAME.data, 0, 1, 'x')]),
    H2_ERROR.protocol,
  ],
  [
    'CONTINUATION of another stream',
    Buffer.concat([headers(1, 1, ...GET), frame(FRAME.continuation, 4, 3)]),
    H2_ERROR.protocol,
  ],
  ['CONTINUATION of nothing', frame(FRAME.continuation, 4, 1), H2_ERROR.protocol],
  ['PRIORITY on stream 0', frame(FRAME.priority, 0, 0, '12345'), H2_ERROR.protocol],
  ['PRIORITY of four octets', frame(FRAME.priority, 0, 1, '1234'), H2_ERROR.frameSize],
  [
    'PRIORITY that depends on itself',
    frame(FRAME.priority, 0, 1, '\0\0\0\x01\x10'),
    H2_ERROR.protocol,
  ],
  ['RST_STREAM on stream 0', frame(FRAME.rstStream, 0, 0, number(8)), H2_ERROR.protocol],
  ['RST_STREAM on an idle stream', frame(FRAME.rstStream, 0, 1, number(8)), H2_ERROR.protocol],
  [
    'RST_STREAM of three octets',
    Buffer.concat([OPEN_POST, frame(FRAME.rstStream, 0, 1, '123')]),
    H2_ERROR.frameSize,
  ],
  ['SETTINGS on a stream', frame(FRAME.settings, 0, 1), H2_ERROR.protocol],
  ['SETTINGS of five octets', frame(FRAME.settings, 0, 0, '12345'), H2_ERROR.frameSize],
  ['SETTINGS ACK with payload', frame(FRAME.settings, FLAG.ack, 0, '123456'), H2_ERROR.frameSize],
  ['ENABLE_PUSH 2', setting(2, 2), H2_ERROR.protocol],
  ['INITIAL_WINDOW_SIZE 2^31', setting(4, 0x80000000), H2_ERROR.flowControl],
  ['MAX_FRAME_SIZE 16383', setting(5, 16383), H2_ERROR.protocol],
  ['MAX_FRAME_SIZE 2^24', setting(5, 1 << 24), H2_ERROR.protocol],
  ['ENABLE_CONNECT_PROTOCOL 2', setting(8, 2), H2_ERROR.protocol],
  [
    'ENABLE_CONNECT_PROTOCOL taken back',
    Buffer.concat([setting(8, 1), setting(8, 0)]),
    H2_ERROR.protocol,
  ],
  ['PUSH_PROMISE', frame(FRAME.pushPromise, 4, 1, '1234'), H2_ERROR.protocol],
  ['PING on a stream', frame(FRAME.ping, 0, 1, '12345678'), H2_ERROR.protocol],
  ['PING of seven octets', frame(FRAME.ping, 0, 0, '1234567'), H2_ERROR.frameSize],
  ['GOAWAY on a stream', frame(FRAME.goaway, 0, 1, '12345678'), H2_ERROR.protocol],
  ['GOAWAY of seven octets', frame(FRAME.goaway, 0, 0, '1234567'), H2_ERROR.frameSize],
  ['WINDOW_UPDATE by 0', frame(FRAME.windowUpdate, 0, 0, number(0)), H2_ERROR.protocol],
  [
    'WINDOW_UPDATE on an idle stream',
    frame(FRAME.windowUpdate, 0, 1, number(1)),
    H2_ERROR.protocol,
  ],
  ['WINDOW_UPDATE of three octets', frame(FRAME.windowUpdate, 0, 0, '123'), H2_ERROR.frameSize],
  [
    'WINDOW_UPDATE beyond 2^31-1',
    frame(FRAME.windowUpdate, 0, 0, number(0x7fffffff)),
    H2_ERROR.flowControl,
  ],
  [
    'a window that SETTINGS make too large',
    Buffer.concat([
      OPEN_POST,
      frame(FRAME.windowUpdate, 0, 1, number(0x7fff0000)),
      setting(4, 0x7fffffff),
    ]),
    H2_ERROR.flowControl,
  ],
  ['a frame that is too large', frame(FRAME.ping, 0, 0, Buffer.alloc(16385)), H2_ERROR.frameSize],
];

export const STREAM_ERRORS: readonly (readonly [string, Buffer, number])[] = [
  ['a second request on it', Buffer.concat([GOOD_GET, GOOD_GET]), H2_ERROR.streamClosed],
  [
    'DATA after END_STREAM',
    Buffer.concat([GOOD_GET, frame(FRAME.data, 0, 1, 'x')]),
    H2_ERROR.streamClosed,
  ],
  [
    'HEADERS after END_STREAM, as trailers',
    Buffer.concat([OPEN_POST, frame(0, 1, 1), headers(1, END, 'a', 'b')]),
    H2_ERROR.streamClosed,
  ],
  [
    'trailers without END_STREAM',
    Buffer.concat([OPEN_POST, headers(1, FLAG.endHeaders, 'a', 'b')]),
    H2_ERROR.protocol,
  ],
  [
    'trailers with a pseudo-header field',
    Buffer.concat([OPEN_POST, headers(1, END, ':path', '/')]),
    H2_ERROR.protocol,
  ],
  [
    'trailers with a length',
    Buffer.concat([OPEN_POST, headers(1, END, 'content-length', '0')]),
    H2_ERROR.protocol,
  ],
  [
    'WINDOW_UPDATE by 0 on a stream',
    Buffer.concat([OPEN_POST, frame(FRAME.windowUpdate, 0, 1, number(0))]),
    H2_ERROR.protocol,
  ],
  [
    'WINDOW_UPDATE beyond 2^31-1 on a stream',
    Buffer.concat([OPEN_POST, frame(FRAME.windowUpdate, 0, 1, number(0x7fffffff))]),
    H2_ERROR.flowControl,
  ],
  [
    'PRIORITY of four octets on an open stream',
    Buffer.concat([OPEN_POST, frame(FRAME.priority, 0, 1, '1234')]),
    H2_ERROR.frameSize,
  ],
  [
    'less body than declared',
    Buffer.concat([headers(1, 4, ...POST, 'content-length', '2'), frame(0, 1, 1, 'x')]),
    H2_ERROR.protocol,
  ],
  [
    'more body than declared',
    Buffer.concat([headers(1, 4, ...POST, 'content-length', '2'), frame(0, 0, 1, 'xxx')]),
    H2_ERROR.protocol,
  ],
  [
    'a declared body that never comes',
    headers(1, END, ...POST, 'content-length', '2'),
    H2_ERROR.protocol,
  ],
  [
    'less body than declared, with trailers',
    Buffer.concat([headers(1, 4, ...POST, 'content-length', '2'), headers(1, END, 'a', 'b')]),
    H2_ERROR.protocol,
  ],
];
