// What HAProxy, nginx and Envoy all take in the same way and we refuse, each with the rule that says so. The test fails
// where one is missing here, or is here without need.

const BARE_LF = 'a line ends in CR LF; taking a bare LF is allowed, not asked for (RFC 9112 §2.2)';
const CHUNK_LINE = 'not a chunk-size with chunk-ext (RFC 9112 §7.1, §7.1.1)';
const CHUNK_END = 'chunk data and the last chunk end in CR LF (RFC 9112 §7.1)';
const NO_TRAILER = 'framing and routing fields may not be trailers (RFC 9110 §6.5.1)';
const ONE_SPACE = 'the parts of a start line are parted by one space (RFC 9112 §3, §4)';

export const refusedRequests: Readonly<Record<string, string>> = {
  'Content-Length: a bare LF behind': BARE_LF,
  'chunk size: a space behind': CHUNK_LINE,
  'chunk size: a tab behind': CHUNK_LINE,
  'chunk size: a bare LF behind the data': CHUNK_END,
  'chunk size: a bare LF for the last line': CHUNK_END,
  'chunk extension: empty': CHUNK_LINE,
  'chunk extension: without a name': CHUNK_LINE,
  'chunk extension: without a value': CHUNK_LINE,
  'chunk extension: CR LF in a quoted value': CHUNK_LINE,
  'chunk extension: a quoted value that does not end': CHUNK_LINE,
  'chunk extension: NUL within': CHUNK_LINE,
  'trailers: Content-Length': NO_TRAILER,
  'trailers: Transfer-Encoding': NO_TRAILER,
  'trailers: Host': NO_TRAILER,
  'trailers: a bare LF': BARE_LF,
  'trailers: folded': 'obs-fold is refused (RFC 9112 §5.2)',
  'line end: bare LF everywhere': BARE_LF,
  'line end: bare LF behind the request line': BARE_LF,
  'line end: bare LF behind a field': BARE_LF,
  'line end: bare LF for the empty line': BARE_LF,
  'line end: a request behind bare LFs': BARE_LF,
  'line end: a bare LF before': BARE_LF,
  'request line: two spaces before the target': ONE_SPACE,
  'request line: two spaces before the version': ONE_SPACE,
  'Host: with user information': 'Host is uri-host and port, else 400 (RFC 9112 §3.2)',
};

export const refusedResponses: Readonly<Record<string, string>> = {
  'TE in HTTP/1.0': 'Transfer-Encoding in HTTP/1.0 is faulty framing (RFC 9112 §6.1)',
  'TE after a bare LF': BARE_LF,
  'a bare LF behind a chunk': CHUNK_END,
  'a length as trailer': NO_TRAILER,
  'bare LF everywhere': BARE_LF,
  'a bare LF for the empty line': BARE_LF,
  'two spaces before the status': ONE_SPACE,
  'HTTP/2.0': 'another major version is another protocol (RFC 9110 §2.5)',
};

/** What only a reader that is no proxy, and lenient, cuts differently, and is right and goes on without doubt. */
export const takenThough: Readonly<Record<string, string>> = {
  'Transfer-Encoding: a tab behind':
    'a tab around a value is no part of it (RFC 9110 §5.5, §5.6.3), and is not passed on',
};
