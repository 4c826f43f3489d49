// Every way in which the discovery server ends a stream: one table from code to gRPC status, so that
// nobody else picks one. Messages are read by people in the sidecar's log.

export const grpcStatus = {
  OK: 0,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcStatusName = keyof typeof grpcStatus;

interface RefusalKind {
  status: GrpcStatusName;
  /** Of the operator's log: `warn` where a person should look. */
  level: 'debug' | 'info' | 'warn';
}

export const refusalKinds = {
  'no-identity': { status: 'UNAUTHENTICATED', level: 'warn' },
  'wrong-trust-domain': { status: 'UNAUTHENTICATED', level: 'warn' },
  'identity-mismatch': { status: 'PERMISSION_DENIED', level: 'warn' },
  'source-mismatch': { status: 'PERMISSION_DENIED', level: 'warn' },
  'not-meshed': { status: 'PERMISSION_DENIED', level: 'warn' },
  'pod-unknown': { status: 'NOT_FOUND', level: 'info' },
  'not-an-operator': { status: 'PERMISSION_DENIED', level: 'warn' },
  malformed: { status: 'INVALID_ARGUMENT', level: 'warn' },
  'too-large': { status: 'RESOURCE_EXHAUSTED', level: 'warn' },
  'too-many-subscriptions': { status: 'RESOURCE_EXHAUSTED', level: 'warn' },
  'too-many-messages': { status: 'RESOURCE_EXHAUSTED', level: 'warn' },
  busy: { status: 'UNAVAILABLE', level: 'warn' },
  'no-hello': { status: 'DEADLINE_EXCEEDED', level: 'info' },
  'no-ack': { status: 'DEADLINE_EXCEEDED', level: 'warn' },
  'does-not-read': { status: 'RESOURCE_EXHAUSTED', level: 'warn' },
  'no-such-method': { status: 'UNIMPLEMENTED', level: 'info' },
  'certificate-ended': { status: 'UNAUTHENTICATED', level: 'info' },
  replaced: { status: 'OK', level: 'debug' },
  'shutting-down': { status: 'UNAVAILABLE', level: 'debug' },
} as const satisfies Record<string, RefusalKind>;
export type RefusalCode = keyof typeof refusalKinds;

export interface Refusal {
  code: RefusalCode;
  message: string;
}

export function refusal(code: RefusalCode, message: string): Refusal {
  return { code, message };
}
