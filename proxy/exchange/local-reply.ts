// What a sidecar answers by itself: status, words and headers from the error table, for HTTP and as gRPC
// status. It chooses no code.

import { unreachedField } from './mesh-fields.ts';
import { headers } from '../api/constants.ts';
import type { Fields, RequestHead, ServerStream } from '../codec/session.ts';
import { describeError, errorSpec, type ProxyErrorCode } from '../errors.ts';
import { errorHeader, grpcStatusFields } from './grpc-status.ts';

const denials: ReadonlySet<ProxyErrorCode> = new Set([
  'mtls-required',
  'mtls-disabled',
  'policy-denied',
  'registry-only',
]);

export interface LocalReply {
  code: ProxyErrorCode;
  /** Names the policy, route, address or cause. */
  detail: string;
}

export function sendLocalReply(
  stream: ServerStream,
  head: RequestHead,
  reply: LocalReply,
  grpc: boolean,
): void {
  if (grpc) sendGrpcStatus(stream, reply);
  else sendText(stream, head, reply);
}

function sendText(stream: ServerStream, head: RequestHead, { code, detail }: LocalReply): void {
  const body = Buffer.from(`${describeError(code, detail)}\n`);
  const fields: Fields = ['content-type', 'text/plain; charset=utf-8'];
  fields.push(errorHeader, code);
  addDenial(fields, code, detail);
  const withoutBody = head.method === 'HEAD';
  const status = errorSpec(code).httpStatus;
  if (!stream.sendHead({ status, fields, contentLength: body.length }, withoutBody))
    stream.reset('internal');
  else if (!withoutBody) stream.sendData(body, true);
}

/** Trailers-Only (gRPC over HTTP/2, "Responses"): the status stands in the head, which ends the answer. */
function sendGrpcStatus(stream: ServerStream, { code, detail }: LocalReply): void {
  const fields = ['content-type', 'application/grpc', ...grpcStatusFields(code, detail)];
  addDenial(fields, code, detail);
  const sent = stream.sendHead({ status: 200, fields, contentLength: null }, true);
  // Behind a whole answer this declines what is still to come of the request, as gRPC servers do.
  stream.reset(sent ? 'cancelled' : 'internal');
}

function addDenial(fields: Fields, code: ProxyErrorCode, detail: string): void {
  // A header value holds visible latin1 only; policy names are ASCII anyway.
  if (denials.has(code)) fields.push(headers.deniedBy, detail.replaceAll(/[^\x20-\x7e]/g, '?'));
  if (code === 'app-unreachable') fields.push(unreachedField, 'app');
}

export function sendRedirect(stream: ServerStream, status: number, location: string): void {
  if (!stream.sendHead({ status, fields: ['location', location], contentLength: 0 }, true))
    stream.reset('internal');
}
