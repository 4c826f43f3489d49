// What a sidecar answers by itself: status, words and headers from the error table, for HTTP and as gRPC
// status. It chooses no code.

import { headers } from '../api/constants.ts';
import type { Fields, RequestHead, ServerStream } from '../codec/session.ts';
import { describeError, errorSpec, type ProxyErrorCode } from '../errors.ts';
import { denialText, type DeniedBy } from './denial.ts';
import { errorHeader, grpcStatusFields } from './grpc-status.ts';
import { unreachedField } from './mesh-fields.ts';

export interface LocalReply {
  code: ProxyErrorCode;
  /** Names the policy, route, address or cause. */
  detail: string;
  /** Set where it is a refusal by policy. */
  by?: DeniedBy;
}

/** What a peer's sidecar refused, as this one logs and counts it. */
export function replyOfPeer(by: DeniedBy): LocalReply {
  const detail = by.rule === '' ? by.policy : `${by.policy}, ${by.rule}`;
  return { code: 'denied-by-peer', detail, by };
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

function sendText(stream: ServerStream, head: RequestHead, reply: LocalReply): void {
  const { code, detail } = reply;
  const body = Buffer.from(`${describeError(code, detail)}\n`);
  const fields: Fields = ['content-type', 'text/plain; charset=utf-8'];
  fields.push(errorHeader, code);
  addMarks(fields, reply);
  const withoutBody = head.method === 'HEAD';
  const status = errorSpec(code).httpStatus;
  if (!stream.sendHead({ status, fields, contentLength: body.length }, withoutBody))
    stream.reset('internal');
  else if (!withoutBody) stream.sendData(body, true);
}

/** Trailers-Only (gRPC over HTTP/2, "Responses"): the status stands in the head, which ends the answer. */
function sendGrpcStatus(stream: ServerStream, reply: LocalReply): void {
  const fields = ['content-type', 'application/grpc', ...grpcTrailers(reply)];
  const sent = stream.sendHead({ status: 200, fields, contentLength: null }, true);
  // Behind a whole answer this declines what is still to come of the request, as gRPC servers do.
  stream.reset(sent ? 'cancelled' : 'internal');
}

/** How gRPC ends a call that the sidecar does not let go on. */
export function grpcTrailers(reply: LocalReply): Fields {
  const fields = grpcStatusFields(reply.code, reply.detail);
  addMarks(fields, reply);
  return fields;
}

function addMarks(fields: Fields, { code, by }: LocalReply): void {
  if (by !== undefined) fields.push(headers.deniedBy, denialText(by));
  if (code === 'app-unreachable') fields.push(unreachedField, 'app');
}

export function sendRedirect(stream: ServerStream, status: number, location: string): void {
  if (!stream.sendHead({ status, fields: ['location', location], contentLength: 0 }, true))
    stream.reset('internal');
}
