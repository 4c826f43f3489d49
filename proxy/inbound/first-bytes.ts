// What the first bytes of an inbound connection say about who is there: a mesh peer, TLS of the app's own,
// HTTP, or something else. Pure.

import { alpn } from '../api/constants.ts';
import type { InboundPort } from '../api/resources.ts';
import { parseClientHello } from '../codec/client-hello.ts';
import { detect, type Detected } from '../codec/detect.ts';

/** RFC 8446 §5.1: content type of the record that opens every TLS connection. */
const tlsHandshake = 0x16;

export type FirstSight = 'mesh' | 'tls' | 'plain' | 'need-more';

/** `bytes`: at least one. */
export function firstSight(bytes: Buffer): FirstSight {
  return bytes[0] === tlsHandshake ? helloOf(bytes) : 'plain';
}

/** First bytes of who was silent, or spoke plaintext: a mesh peer may come late. */
export function detectLate(bytes: Buffer, port: InboundPort): Detected | 'mesh' {
  if (bytes[0] === tlsHandshake) return helloOf(bytes);
  return isTcp(port) ? 'other' : detect(bytes);
}

/** First bytes of an app that came by mutual TLS, as what its sidecar took for opaque. */
export function detectWithin(bytes: Buffer, port: InboundPort): Detected {
  return isHttp(port) ? detect(bytes) : 'other';
}

/** Declared as such. */
export function isHttp({ protocol }: InboundPort): boolean {
  return protocol === 'http1' || protocol === 'http2';
}

export function isTcp({ protocol }: InboundPort): boolean {
  return protocol === 'tcp';
}

function helloOf(bytes: Buffer): 'mesh' | 'tls' | 'need-more' {
  const hello = parseClientHello(bytes);
  if (hello === 'need-more') return hello;
  const isMesh =
    hello !== 'invalid' && (hello.alpn.includes(alpn.http) || hello.alpn.includes(alpn.tcp));
  return isMesh ? 'mesh' : 'tls';
}
