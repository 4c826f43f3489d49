// Hosts of requests and of rules: without case, the dot at the end of a full name, and the default port. Pure.

import { matchesText, textPattern, type TextPattern } from './text-pattern.ts';

export interface Host {
  readonly name: string;
  readonly port: string;
}

export interface HostPattern {
  readonly name: TextPattern;
  /** Empty: any. */
  readonly port: string;
}

/** What apps behind a sidecar speak is `http`: `cart` and `cart:` are `cart:80` (RFC 3986 §6.2.3). */
const defaultPort = '80';
const ordinary = /^(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z_.-]+)(?::([0-9]*))?$/;

/**
 * Null where nobody can say which host is meant: none was sent (HTTP/1.0), or with characters that hosts do not
 * have (escapes, user information), which apps read differently.
 */
export function hostOf(authority: string): Host | null {
  const match = ordinary.exec(authority);
  if (match === null) return null;
  const port = match[2] ?? '';
  return { name: hostName(match[1]!), port: port === '' ? defaultPort : plainNumber(port) };
}

/** `cart`, `cart:8080`, `*.example.com`, `*.example.com:80`, `cart.*`; `cart:*` is `cart`. */
export function hostPattern(pattern: string): HostPattern {
  const colon = pattern.lastIndexOf(':');
  const split = colon > pattern.lastIndexOf(']');
  const port = split ? pattern.slice(colon + 1) : '';
  const name = split ? pattern.slice(0, colon) : pattern;
  return {
    name: textPattern(hostName(name)),
    port: port === '' || port === '*' ? '' : plainNumber(port),
  };
}

export function matchesHost(pattern: HostPattern, host: Host): boolean {
  return (
    (pattern.port === '' || pattern.port === host.port) && matchesText(pattern.name, host.name)
  );
}

function hostName(name: string): string {
  const lower = name.toLowerCase();
  return lower.length > 1 && lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

function plainNumber(digits: string): string {
  return digits.replace(/^0+(?=.)/, '');
}
