// The one table of everything a sidecar may answer by itself: code, words, statuses and access-log
// flag. Nobody else picks a status. It decides nothing: callers name the code.

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface ErrorSpec {
  /** What an HTTP caller gets. */
  httpStatus: number;
  /** What a gRPC caller gets (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
  grpcStatus: number;
  /** Short code for access logs and metrics. */
  flag: string;
  /** What happened, in words; a detail is appended behind a colon. */
  message: string;
  /** What a person can do about it. */
  hint: string;
  level: LogLevel;
}

const grpc = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

const upstream = {
  'connect-failed': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'UF',
    message: 'the upstream pod refused the connection or could not be reached',
    hint: 'is the app listening on this port, and does a NetworkPolicy allow the connection?',
    level: 'warn',
  },
  'connect-timeout': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'UT',
    message: 'no connection to the upstream pod within the time allowed',
    hint: 'is the pod up, and does a NetworkPolicy drop the connection?',
    level: 'warn',
  },
  'app-unreachable': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'AF',
    message: 'the app of the pod did not accept the connection',
    hint: 'is the app listening on this port, on the address it was called at?',
    level: 'warn',
  },
  // Not 503, which says that it may be sent again: the app may have done what it was asked.
  'upstream-reset': {
    httpStatus: 502,
    grpcStatus: grpc.unavailable,
    flag: 'UC',
    message: 'the upstream ended the connection before its answer was complete',
    hint: 'did the app crash or close the connection? see its own log',
    level: 'warn',
  },
  'upstream-cancelled': {
    httpStatus: 502,
    grpcStatus: grpc.cancelled,
    flag: 'UC',
    message: 'the upstream broke the request off before its answer was complete',
    hint: 'did the app give the request up? see its own log',
    level: 'warn',
  },
  'deadline-passed': {
    httpStatus: 504,
    grpcStatus: grpc.deadlineExceeded,
    flag: 'DE',
    message: 'the deadline that the caller set (grpc-timeout) passed',
    hint: 'does the app take longer than the caller allows?',
    level: 'info',
  },
  'upstream-failed': {
    httpStatus: 502,
    grpcStatus: grpc.internal,
    flag: 'UC',
    message: 'the upstream reset the request and named an error of its own',
    hint: 'did the app fail? see its own log',
    level: 'warn',
  },
  'upstream-overloaded': {
    httpStatus: 503,
    grpcStatus: grpc.resourceExhausted,
    flag: 'UO',
    message: 'the upstream reset the request because it has too much to do (ENHANCE_YOUR_CALM)',
    hint: 'more replicas of the app, or fewer requests at a time',
    level: 'warn',
  },
  'upstream-insecure': {
    httpStatus: 503,
    grpcStatus: grpc.permissionDenied,
    flag: 'US',
    message: 'the upstream reset the request because of how it is secured (INADEQUATE_SECURITY)',
    hint: 'does the app insist on TLS of its own?',
    level: 'warn',
  },
  'upstream-refused': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'UR',
    message: 'the upstream is going away and did not process the request',
    hint: 'safe to send again',
    level: 'info',
  },
  'upstream-protocol-error': {
    httpStatus: 502,
    grpcStatus: grpc.internal,
    flag: 'UPE',
    message: 'the upstream answered with something that is not valid HTTP',
    hint: 'does the port speak the protocol that its Service declares?',
    level: 'warn',
  },
  'request-timeout': {
    httpStatus: 504,
    grpcStatus: grpc.deadlineExceeded,
    flag: 'RT',
    message: 'the request took longer than its route allows',
    hint: 'the timeout is set by the TrafficPolicy route or the Mesh default that is named here',
    level: 'info',
  },
  'idle-timeout': {
    httpStatus: 504,
    grpcStatus: grpc.deadlineExceeded,
    flag: 'IT',
    message: 'nothing moved either way for longer than allowed',
    hint: 'the idle timeout is set by the TrafficPolicy that is named here',
    level: 'info',
  },
  'retry-budget': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'RX',
    message: 'a retry that its policy asks for was not made: the budget is used up',
    hint: 'too many requests fail for retries to help; see retries.budget of the TrafficPolicy',
    level: 'info',
  },
  'body-not-kept': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'BK',
    message: 'a retry that its policy asks for was not made: the request is longer than 64 KiB',
    hint: 'longer bodies are not kept, and such requests are sent once',
    level: 'info',
  },
  'per-try-timeout': {
    httpStatus: 504,
    grpcStatus: grpc.deadlineExceeded,
    flag: 'PT',
    message: 'no attempt was answered within the time allowed per attempt',
    hint: 'the time per attempt is set by the retries of the TrafficPolicy that is named here',
    level: 'info',
  },
  'tls-handshake-failed': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'UTLS',
    message: 'mutual TLS with the upstream sidecar could not be set up',
    hint: 'are both certificates valid and issued under the same roots?',
    level: 'warn',
  },
  'identity-mismatch': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'UID',
    message: 'the upstream proved another identity than the one expected of it',
    hint: 'did the address move to another pod, or the pod change its service account?',
    level: 'error',
  },
  'certificate-expired': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'CE',
    message: 'the certificate that had opened the connection came to its end',
    hint: 'streams and connections that live as long as certificates have to be opened again',
    level: 'info',
  },
  'no-identity': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'NI',
    message: 'this sidecar has no valid certificate',
    hint: 'see the sidecar log and the identity Secret of the service account',
    level: 'error',
  },
} as const satisfies Record<string, ErrorSpec>;

const routing = {
  'no-route': {
    httpStatus: 404,
    grpcStatus: grpc.unimplemented,
    flag: 'NR',
    message: 'no route matches the request',
    hint: 'see the routes of the TrafficPolicy of this Service',
    level: 'info',
  },
  'no-backends': {
    httpStatus: 500,
    grpcStatus: grpc.unavailable,
    flag: 'NB',
    message: 'the route names no backend that exists',
    hint: 'see the condition ResolvedRefs of the TrafficPolicy',
    level: 'warn',
  },
  // Put in by a policy, not by chance: what a test of failures is told from a failure by.
  'fault-injected': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'FI',
    message: 'a policy answers a share of the requests so, in place of sending them on',
    hint: 'see fault.abort of the TrafficPolicy route that is named here',
    level: 'info',
  },
  'delay-injected': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'DI',
    message: 'a policy holds a share of the requests back',
    hint: 'see fault.delay of the TrafficPolicy route that is named here',
    level: 'info',
  },
  'no-endpoints': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'NE',
    message: 'the destination has no ready endpoint',
    hint: 'are pods of the Service (and of the subset) ready?',
    level: 'warn',
  },
  'registry-only': {
    httpStatus: 502,
    grpcStatus: grpc.permissionDenied,
    flag: 'RO',
    message: 'the destination is not in the mesh, and the Mesh allows only known destinations',
    hint: 'outboundPolicy of Mesh default is RegistryOnly',
    level: 'info',
  },
  'destination-unknown': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'DU',
    message: 'the destination is not known yet and the operator cannot be asked',
    hint: 'is tsmesh-operator in tsmesh-system running and reachable on port 15012?',
    level: 'warn',
  },
  'own-port': {
    httpStatus: 508,
    grpcStatus: grpc.internal,
    flag: 'OP',
    message: 'the destination is a port of the sidecar itself',
    hint: 'ports 15001, 15006 and 15020 belong to the sidecar',
    level: 'warn',
  },
  'no-original-destination': {
    httpStatus: 421,
    grpcStatus: grpc.internal,
    flag: 'ND',
    message: 'the connection reached a capture port without being redirected to it',
    hint: 'connect to the port of the app, not to the port of the sidecar',
    level: 'warn',
  },
} as const satisfies Record<string, ErrorSpec>;

const inbound = {
  'mtls-required': {
    httpStatus: 403,
    grpcStatus: grpc.permissionDenied,
    flag: 'MR',
    message: 'this port accepts mutual TLS from the mesh only',
    hint: 'call it from a pod with a sidecar, or set the mode PERMISSIVE in the policy named here',
    level: 'info',
  },
  'policy-denied': {
    httpStatus: 403,
    grpcStatus: grpc.permissionDenied,
    flag: 'PD',
    message: 'refused by policy',
    hint: 'see the policy named here',
    level: 'info',
  },
  'ambiguous-path': {
    httpStatus: 400,
    grpcStatus: grpc.invalidArgument,
    flag: 'AP',
    message: 'apps may read this path in different ways, and the mesh refuses such paths',
    hint: 'write the path plainly, or set authorization.ambiguousPaths of Mesh default to AllReadings',
    level: 'info',
  },
  'denied-by-peer': {
    httpStatus: 403,
    grpcStatus: grpc.permissionDenied,
    flag: 'PP',
    message: 'the sidecar of the called pod refused it by policy',
    hint: 'see the policy named here, and the log of that sidecar',
    level: 'info',
  },
  'not-ready': {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'SR',
    message: 'this sidecar has no configuration yet',
    hint: 'it starts; if it stays so, see its /ready on port 15020',
    level: 'warn',
  },
} as const satisfies Record<string, ErrorSpec>;

const limits = {
  'bad-request': {
    httpStatus: 400,
    grpcStatus: grpc.invalidArgument,
    flag: 'BR',
    message: 'the request is not valid HTTP',
    hint: 'see RFC 9112 and RFC 9113; the detail says what was wrong',
    level: 'info',
  },
  'head-too-large': {
    httpStatus: 431,
    grpcStatus: grpc.resourceExhausted,
    flag: 'HL',
    message: 'the request head is larger than the sidecar accepts',
    hint: 'shorten header fields (cookies, tokens)',
    level: 'info',
  },
  'head-not-taken': {
    httpStatus: 431,
    grpcStatus: grpc.resourceExhausted,
    flag: 'HU',
    message: 'the request head is larger than the upstream says it takes',
    hint: 'shorten header fields, or raise the upstream’s SETTINGS_MAX_HEADER_LIST_SIZE',
    level: 'info',
  },
  'answer-head-not-taken': {
    httpStatus: 502,
    grpcStatus: grpc.resourceExhausted,
    flag: 'HC',
    message: 'the head of the answer is larger than the caller says it takes',
    hint: 'shorten header fields, or raise the caller’s SETTINGS_MAX_HEADER_LIST_SIZE',
    level: 'info',
  },
  'request-incomplete': {
    httpStatus: 408,
    grpcStatus: grpc.deadlineExceeded,
    flag: 'RI',
    message: 'the request did not arrive in full within the time allowed',
    hint: 'is the client slow, or did it stop sending?',
    level: 'info',
  },
  'unsupported-protocol': {
    httpStatus: 501,
    grpcStatus: grpc.unimplemented,
    flag: 'UP',
    message: 'the sidecar does not carry this kind of request',
    hint: 'see the documentation for what is carried',
    level: 'info',
  },
  overload: {
    httpStatus: 503,
    grpcStatus: grpc.resourceExhausted,
    flag: 'OL',
    message: 'the sidecar reached one of its bounds',
    hint: 'more replicas, or fewer connections at a time',
    level: 'warn',
  },
  'destination-limit': {
    httpStatus: 503,
    grpcStatus: grpc.resourceExhausted,
    flag: 'DL',
    message: 'this sidecar has as much under way to the destination as a policy allows',
    hint: 'see limits of the TrafficPolicy that is named here; more time or fewer calls at once help',
    level: 'info',
  },
  'rate-limited': {
    httpStatus: 429,
    grpcStatus: grpc.resourceExhausted,
    flag: 'RL',
    message: 'more came to this pod than a policy allows',
    hint: 'come again after the time in Retry-After; see rateLimits of the TrafficPolicy named here',
    level: 'info',
  },
  draining: {
    httpStatus: 503,
    grpcStatus: grpc.unavailable,
    flag: 'DR',
    message: 'this pod is going away and did not process the request',
    hint: 'safe to send again',
    level: 'info',
  },
  'client-closed': {
    httpStatus: 499,
    grpcStatus: grpc.cancelled,
    flag: 'CC',
    message: 'the client went away before the answer was complete',
    hint: 'the client may have a shorter timeout than the app takes',
    level: 'debug',
  },
} as const satisfies Record<string, ErrorSpec>;

export const proxyErrors = { ...upstream, ...routing, ...inbound, ...limits };

export type ProxyErrorCode = keyof typeof proxyErrors;

export function errorSpec(code: ProxyErrorCode): ErrorSpec {
  return proxyErrors[code];
}

/** For what the codec of HTTP/1.1 answers by itself, by the status it gives; 0 is HTTP/2, which gives none. */
export function codeOfUnreadable(status: number): ProxyErrorCode {
  switch (status) {
    case 408:
      return 'request-incomplete';
    case 414:
    case 431:
      return 'head-too-large';
    case 417:
    case 501:
    case 505:
      return 'unsupported-protocol';
    default:
      return 'bad-request';
  }
}

/** One line for bodies, gRPC messages and logs. `detail` names the policy, address or cause. */
export function describeError(code: ProxyErrorCode, detail: string): string {
  const spec = errorSpec(code);
  const what = detail === '' ? spec.message : `${spec.message}: ${detail}`;
  return `tsmesh ${spec.flag} ${code}: ${what} (${spec.hint})`;
}
