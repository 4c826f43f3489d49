// Status codes of gRPC by name and number (https://grpc.io/docs/guides/status-codes/). Pure.

const names = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** Of `UNAVAILABLE` or 14; null where it is no code of an error. */
export function grpcCode(text: string | number): number | null {
  const code = typeof text === 'number' ? text : names.indexOf(text);
  return Number.isInteger(code) && code > 0 && code < names.length ? code : null;
}
