// Everything that can be wrong with a peer's HTTP/1.1, in one table: what a client is answered, and the words
// for it. Does not decide when; the parsers do.

export interface H1Fault {
  readonly status: 400 | 408 | 414 | 417 | 431 | 501 | 505;
  /** For the body of the answer and for `Session.error`; names the rule that was broken. */
  readonly text: string;
}

function fault(status: H1Fault['status'], text: string): H1Fault {
  return { status, text };
}

export const H1_FAULTS = {
  requestLine: fault(400, 'malformed request line (RFC 9112 §3)'),
  emptyLines: fault(400, 'too many empty lines before the request line (RFC 9112 §2.2)'),
  statusLine: fault(400, 'malformed status line (RFC 9112 §4)'),
  method: fault(400, 'invalid character in method (RFC 9110 §9.1)'),
  target: fault(400, 'invalid request target (RFC 9112 §3.2)'),
  targetTooLong: fault(414, 'request line too long'),
  version: fault(505, 'only HTTP/1.0 and HTTP/1.1 are spoken here'),
  lineEnd: fault(400, 'a line does not end in CR LF (RFC 9112 §2.2)'),
  fieldName: fault(400, 'invalid field name, or white space before the colon (RFC 9112 §5.1)'),
  fieldValue: fault(400, 'invalid character in a field value (RFC 9110 §5.5)'),
  folding: fault(400, 'obsolete line folding (RFC 9112 §5.2)'),
  headTooLong: fault(431, 'header section too long'),
  tooManyFields: fault(431, 'too many header fields'),
  host: fault(400, 'Host is missing, repeated or invalid (RFC 9112 §3.2)'),
  contentLength: fault(400, 'invalid Content-Length (RFC 9110 §8.6)'),
  contentLengths: fault(400, 'Content-Length fields that differ (RFC 9112 §6.3)'),
  bothLengths: fault(400, 'Content-Length together with Transfer-Encoding (RFC 9112 §6.1)'),
  transferEncoding: fault(400, 'Transfer-Encoding does not end in one chunked (RFC 9112 §6.3)'),
  transferCoding: fault(501, 'a transfer coding other than chunked (RFC 9112 §6.1)'),
  transferEncodingVersion: fault(400, 'Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)'),
  transferEncodingHere: fault(400, 'Transfer-Encoding where no body can be (RFC 9112 §6.1)'),
  connectBody: fault(400, 'CONNECT with a body (RFC 9110 §9.3.6)'),
  chunkSize: fault(400, 'invalid chunk size (RFC 9112 §7.1)'),
  chunkExtension: fault(400, 'invalid or too long chunk extension (RFC 9112 §7.1.1)'),
  chunkEnd: fault(400, 'chunk data not followed by CR LF (RFC 9112 §7.1)'),
  trailer: fault(400, 'a field that may not be a trailer (RFC 9110 §6.5.1)'),
  truncated: fault(400, 'the connection ended inside a message (RFC 9112 §8)'),
  slowHead: fault(408, 'the header section did not arrive in time'),
  unsolicited: fault(400, 'bytes that belong to no exchange (RFC 9112 §9.2)'),
  interim: fault(400, 'too many interim responses'),
  switching: fault(400, '101 to a request that asked for no upgrade (RFC 9110 §15.2.2)'),
} as const satisfies Record<string, H1Fault>;
