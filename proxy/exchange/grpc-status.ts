// How gRPC says that a call failed: fields of status and message, as trailers or in a head that is all of
// the answer, and what such fields look like on the wire. It chooses no status.

import type { Fields, RequestHead, ResponseHead } from '../codec/session.ts';
import { describeError, type ProxyErrorCode } from '../errors.ts';
import { fieldLine } from '../policy/route-match.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';

/** Names the error in a field, so that an answer of the sidecar is told from one of the app. */
export const errorHeader = 'tsmesh-error';

/** Not the content type, which stands in the head. */
export function grpcStatusFields(code: ProxyErrorCode, detail: string, status: number): Fields {
  return [...grpcFields(status, describeError(code, detail)), errorHeader, code];
}

export function grpcFields(status: number, message: string): Fields {
  const fields = ['grpc-status', String(status)];
  if (message !== '') fields.push('grpc-message', percentEncode(message));
  return fields;
}

/** -1 where there is none that can be read. */
export function grpcStatusOf(fields: Fields): number {
  const value = fieldLine(fields, 'grpc-status');
  return value !== undefined && /^[0-9]{1,3}$/.test(value) ? Number(value) : noGrpcStatus;
}

/**
 * An answer that broke off can still end with a status in its trailers: its messages carry their own
 * lengths, so that a cut one is told from a whole one. Not where the head declared a length, nor over
 * HTTP/1.1 to a caller that takes no trailers.
 */
export function mayEndWithStatus(request: RequestHead, answer: ResponseHead): boolean {
  if (answer.status !== 200 || answer.contentLength !== null) return false;
  if (fieldLine(request.fields, 'te') !== 'trailers') return false;
  return fieldLine(answer.fields, 'content-type')?.startsWith('application/grpc') === true;
}

/** gRPC over HTTP/2, "Responses": UTF-8, of which all but printable ASCII and `%` itself is encoded. */
function percentEncode(text: string): string {
  const octets = Buffer.from(text).toString('latin1');
  return octets.replaceAll(/[^\x20-\x24\x26-\x7e]/g, encodeOctet);
}

function encodeOctet(octet: string): string {
  return `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
