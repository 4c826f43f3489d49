// Field names that are common or that mean something to HTTP/1.1 itself, in the spellings they usually arrive in,
// so that most names cost one look-up instead of a check and a conversion to lower case.

export type FieldKind =
  | 'ordinary'
  | 'host'
  | 'content-length'
  | 'transfer-encoding'
  | 'connection'
  | 'upgrade'
  | 'te'
  | 'expect'
  | 'keep-alive'
  /** Hop-by-hop without meaning here (RFC 9110 §7.6.1, RFC 9113 §8.2.2; HTTP2-Settings: RFC 7540 §3.2.1). */
  | 'dropped';

export interface KnownField {
  readonly name: string;
  readonly kind: FieldKind;
}

const SPECIAL: readonly (readonly [string, FieldKind])[] = [
  ['host', 'host'],
  ['content-length', 'content-length'],
  ['transfer-encoding', 'transfer-encoding'],
  ['connection', 'connection'],
  ['upgrade', 'upgrade'],
  ['te', 'te'],
  ['expect', 'expect'],
  ['keep-alive', 'keep-alive'],
  ['proxy-connection', 'dropped'],
  ['http2-settings', 'dropped'],
];

const ORDINARY = [
  'accept accept-charset accept-encoding accept-language accept-ranges age allow',
  'access-control-allow-origin access-control-request-headers access-control-request-method',
  'authorization cache-control content-disposition content-encoding content-language',
  'content-location content-range content-type cookie date dnt etag expires forwarded from',
  'grpc-accept-encoding grpc-encoding grpc-status grpc-message grpc-timeout if-match',
  'if-modified-since if-none-match if-range last-modified link location origin pragma range referer',
  'retry-after sec-fetch-dest sec-fetch-mode sec-fetch-site sec-websocket-accept',
  'sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version server',
  'set-cookie strict-transport-security trailer traceparent tracestate transfer-length',
  'upgrade-insecure-requests user-agent vary via warning www-authenticate x-b3-sampled x-b3-spanid',
  'x-b3-traceid x-content-type-options x-envoy-attempt-count x-forwarded-for x-forwarded-host',
  'x-forwarded-proto x-frame-options x-powered-by x-real-ip x-request-id x-requested-with',
];

/** Spellings that are not the capitals of each word. */
const ODD_SPELLINGS: readonly (readonly [string, string])[] = [
  ['ETag', 'etag'],
  ['TE', 'te'],
  ['DNT', 'dnt'],
  ['WWW-Authenticate', 'www-authenticate'],
  ['HTTP2-Settings', 'http2-settings'],
  ['Sec-WebSocket-Accept', 'sec-websocket-accept'],
  ['Sec-WebSocket-Extensions', 'sec-websocket-extensions'],
  ['Sec-WebSocket-Key', 'sec-websocket-key'],
  ['Sec-WebSocket-Protocol', 'sec-websocket-protocol'],
  ['Sec-WebSocket-Version', 'sec-websocket-version'],
];

function capitalised(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

function build(): ReadonlyMap<string, KnownField> {
  const map = new Map<string, KnownField>();
  const add = (name: string, kind: FieldKind): void => {
    const known = { name, kind };
    map.set(name, known);
    map.set(capitalised(name), known);
  };
  for (const [name, kind] of SPECIAL) add(name, kind);
  for (const line of ORDINARY) for (const name of line.split(' ')) add(name, 'ordinary');
  for (const [spelling, name] of ODD_SPELLINGS) map.set(spelling, map.get(name)!);
  return map;
}

export const KNOWN_FIELDS: ReadonlyMap<string, KnownField> = build();
