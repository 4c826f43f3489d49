// Which host a client says it wants, from its first bytes: the server name of a TLS ClientHello, the Host of an HTTP
// request. Pure, and believes nothing: it is what the client claims, and with ECH only the outer name of it.

import { CR, LF } from './chars.ts';
import { parseClientHello } from './client-hello.ts';
import { detect, H2_PREFACE } from './detect.ts';
import { FLAG, FRAME, FRAME_HEADER_BYTES } from './h2-frames.ts';
import { HpackDecoder } from './hpack-decoder.ts';

export interface HostClaim {
  /** Lower case, without port; IPv6 in brackets. At most 253 characters that need no escaping anywhere. */
  host: string;
  by: 'sni' | 'host';
}

/** More than this is not looked at: a hybrid post-quantum hello has 1.8 KB, a head with many cookies 8. */
export const MAX_CLAIM_BYTES = 16384;

/**
 * `bytes` are all of the connection so far, or its first MAX_CLAIM_BYTES; ask again with more where it says `need-more`,
 * which it does not once so many are there. `none`: neither TLS nor HTTP, or without a name.
 */
export function claimedHost(bytes: Buffer): HostClaim | 'need-more' | 'none' {
  const claim = read(bytes);
  return claim === 'need-more' && bytes.length >= MAX_CLAIM_BYTES ? 'none' : claim;
}

function read(bytes: Buffer): HostClaim | 'need-more' | 'none' {
  switch (detect(bytes)) {
    case 'need-more':
      return 'need-more';
    case 'other':
      return 'none';
    case 'tls': {
      const hello = parseClientHello(bytes);
      if (hello === 'need-more') return hello;
      return hello === 'invalid' ? 'none' : claimOf(hello.serverName ?? '', 'sni');
    }
    case 'http1':
      return ofHttp1(bytes);
    case 'http2':
      return ofHttp2(bytes);
  }
}

/** RFC 9112 §3.2: the authority of the target goes before the Host field. */
function ofHttp1(bytes: Buffer): HostClaim | 'need-more' | 'none' {
  let at = 0;
  while (bytes[at] === CR || bytes[at] === LF) at += 1;
  for (let first = true; ; first = false) {
    const end = bytes.indexOf(LF, at);
    if (end < 0) return 'need-more';
    const line = bytes.toString('latin1', at, end).trimEnd();
    const authority = first ? targetAuthority(line) : hostField(line);
    if (authority !== null) return claimOf(authority, 'host');
    if (line === '') return 'none';
    at = end + 1;
  }
}

function targetAuthority(line: string): string | null {
  const [method, target = ''] = line.split(' ');
  if (method === 'CONNECT') return target;
  const absolute = /^[a-z]+:\/\/([^/?#]*)/i.exec(target)?.[1];
  return absolute === undefined ? null : absolute.slice(absolute.lastIndexOf('@') + 1);
}

function hostField(line: string): string | null {
  return /^host:/i.test(line) ? line.slice(5) : null;
}

/** The first request of a connection stands behind the preface, SETTINGS and perhaps a larger window. */
function ofHttp2(bytes: Buffer): HostClaim | 'need-more' | 'none' {
  let at = H2_PREFACE.length;
  for (;;) {
    if (bytes.length - at < FRAME_HEADER_BYTES) return 'need-more';
    const end = at + FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3);
    const type = bytes[at + 3]!;
    if (type === FRAME.headers) {
      if (bytes.length < end) return 'need-more';
      return ofHeaders(bytes[at + 4]!, bytes.subarray(at + FRAME_HEADER_BYTES, end));
    }
    if (type === FRAME.data || type === FRAME.continuation) return 'none';
    at = end;
  }
}

/** A head that goes on in another frame is longer than any that somebody would wait for here. */
function ofHeaders(flags: number, payload: Buffer): HostClaim | 'none' {
  if ((flags & FLAG.endHeaders) === 0) return 'none';
  const padded = (flags & FLAG.padded) !== 0;
  const start = (padded ? 1 : 0) + ((flags & FLAG.priority) === 0 ? 0 : 5);
  const end = payload.length - (padded ? (payload[0] ?? 0) : 0);
  let authority = '';
  const decoder = new HpackDecoder(4096, {
    classify: () => 0,
    onField(name, value) {
      if (name === ':authority' || (name === 'host' && authority === '')) authority = value;
    },
  });
  return decoder.decode(payload.toString('latin1', start, end))
    ? claimOf(authority, 'host')
    : 'none';
}

const name = /^[a-z0-9_](?:[a-z0-9._-]{0,252})$/;
const bracketed = /^\[[0-9a-f:.]{2,45}\]$/;

function claimOf(authority: string, by: HostClaim['by']): HostClaim | 'none' {
  const host = authority
    .trim()
    .toLowerCase()
    .replace(/:\d{0,5}$/, '')
    .replace(/\.$/, '');
  return name.test(host) || bracketed.test(host) ? { host, by } : 'none';
}
