// Where a redirected connection wanted to go: getsockopt(SO_ORIGINAL_DST) for IPv4 and IPv6 by koffi.
// It reads one socket option; what the address means is decided elsewhere.

import type { Socket } from 'node:net';
import koffi from 'koffi';

export interface OriginalDestination {
  /** Without brackets; IPv4-mapped IPv6 addresses as IPv4. */
  address: string;
  port: number;
}

export type ReadOriginalDestination = (socket: Socket) => OriginalDestination | null;

/** linux/in.h, linux/in6.h, linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h. */
const solIp = 0;
const solIpv6 = 41;
const soOriginalDst = 80;
const afInet = 2;
const afInet6 = 10;
/** sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6). */
const sockaddrInBytes = 16;
const sockaddrIn6Bytes = 28;

/** fd, level, name, value, length: the C signature. */
type GetSockOpt = (...args: [number, number, number, Uint8Array, Uint32Array]) => number;

/** The reader keeps one buffer: it is called synchronously, once per accepted connection (1.1 µs). */
export function createOriginalDestinationReader(): ReadOriginalDestination {
  const libc = koffi.load('libc.so.6');
  const getsockopt = libc.func(
    'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
  ) as unknown as GetSockOpt;
  const value = Buffer.alloc(sockaddrIn6Bytes);
  const length = new Uint32Array(1);

  function read(fd: number, level: number, bytes: number): OriginalDestination | null {
    length[0] = bytes;
    if (getsockopt(fd, level, soOriginalDst, value, length) !== 0) return null;
    return parseSockaddr(value);
  }

  return (socket) => {
    const fd = fileDescriptor(socket);
    if (fd < 0) return null;
    const v4 = isIpv4(socket.localAddress);
    return v4 ? read(fd, solIp, sockaddrInBytes) : read(fd, solIpv6, sockaddrIn6Bytes);
  };
}

/** The descriptor of an open socket, -1 otherwise. Node has no public way to it. */
function fileDescriptor(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } | null };
  return handle?.fd ?? -1;
}

function isIpv4(address: string | undefined): boolean {
  if (address === undefined) return false;
  return !address.includes(':') || address.startsWith('::ffff:');
}

/** `struct sockaddr_in` or `sockaddr_in6` in host memory; null for another family. */
export function parseSockaddr(bytes: Buffer): OriginalDestination | null {
  const family = hostIsLittleEndian ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0);
  const port = bytes.readUInt16BE(2);
  if (family === afInet) return { address: ipv4Text(bytes, 4), port };
  if (family !== afInet6) return null;
  return { address: ipv6Text(bytes.subarray(8, 24)), port };
}

const hostIsLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function ipv4Text(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** RFC 5952: lower case, longest run of zero groups (two or more) as `::`; mapped IPv4 as IPv4. */
function ipv6Text(bytes: Buffer): string {
  if (isMapped(bytes)) return ipv4Text(bytes, 12);
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2));
  const run = longestZeroRun(groups);
  const text = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (run.length < 2) return text(groups);
  return `${text(groups.slice(0, run.start))}::${text(groups.slice(run.start + run.length))}`;
}

/** ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
function isMapped(bytes: Buffer): boolean {
  for (let i = 0; i < 10; i += 1) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function longestZeroRun(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  return best;
}
