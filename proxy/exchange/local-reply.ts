// What a sidecar answers by itself: status, words and headers from the error table, for HTTP and as gRPC
// status. It chooses no code.

import { headers } from '../api/constants.ts';
import type { Fields, RequestHead, ServerStream } from '../codec/session.ts';
import { describeError, errorSpec, type ProxyErrorCode } from '../errors.ts';
import { denialText, type DeniedBy } from './denial.ts';
import { noGrpcStatus } from '../telemetry/counters.ts';
import { errorHeader, grpcFields, grpcStatusFields } from './grpc-status.ts';
import { unreachedField } from './mesh-fields.ts';
import type { DirectAnswer } from './plan.ts';

export interface LocalReply {
  code: ProxyErrorCode;
  /** Names the policy, route, address or cause. */
  detail: string;
  /** Set where it is a refusal by policy. */
  by?: DeniedBy;
  /** What a policy chose in place of the statuses of the error table. */
  as?: { httpStatus: number; grpcStatus: number };
  /** Further fields of the answer. */
  fields?: Fields;
}

export function httpStatusOf({ code, as }: LocalReply): number {
  return as?.httpStatus ?? errorSpec(code).httpStatus;
}

export function grpcStatusOfReply({ code, as }: LocalReply): number {
  return as?.grpcStatus ?? errorSpec(code).grpcStatus;
}

/** What a peer's sidecar refused, as this one logs and counts it. */
export function replyOfPeer(by: DeniedBy): LocalReply {
  const detail = by.rule === '' ? by.policy : `${by.policy}, ${by.rule}`;
  return { code: 'denied-by-peer', detail, by };
}

/** What browsers may read of it. */
export function withCors(reply: LocalReply, cors: Fields | null): LocalReply {
  return cors === null ? reply : { ...reply, fields: [...(reply.fields ?? []), ...cors] };
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
  const status = httpStatusOf(reply);
  const withoutBody = head.method === 'HEAD' || hasNoBody(status);
  const contentLength = hasNoBody(status) ? null : body.length;
  if (!stream.sendHead({ status, fields, contentLength }, withoutBody)) stream.reset('internal');
  else if (!withoutBody) stream.sendData(body, true);
}

/** Trailers-Only (gRPC over HTTP/2, "Responses"): the status stands in the head, which ends the answer. */
function sendGrpcStatus(stream: ServerStream, reply: LocalReply): void {
  sendGrpcHead(stream, grpcTrailers(reply));
}

function sendGrpcHead(stream: ServerStream, trailers: Fields): void {
  const fields = ['content-type', 'application/grpc', ...trailers];
  const sent = stream.sendHead({ status: 200, fields, contentLength: null }, true);
  // Behind a whole answer this declines what is still to come of the request, as gRPC servers do.
  stream.reset(sent ? 'cancelled' : 'internal');
}

/** How gRPC ends a call that the sidecar does not let go on. */
export function grpcTrailers(reply: LocalReply): Fields {
  const fields = grpcStatusFields(reply.code, reply.detail, grpcStatusOfReply(reply));
  addMarks(fields, reply);
  return fields;
}

function addMarks(fields: Fields, { code, by, fields: further }: LocalReply): void {
  if (further !== undefined) fields.push(...further);
  if (by !== undefined) fields.push(headers.deniedBy, denialText(by));
  if (code === 'app-unreachable') fields.push(unreachedField, 'app');
}

export function sendRedirect(stream: ServerStream, status: number, fields: Fields): void {
  if (!stream.sendHead({ status, fields, contentLength: 0 }, true)) stream.reset('internal');
}

/** An answer that a policy spells out. */
export function sendDirect(stream: ServerStream, head: RequestHead, answer: DirectAnswer): void {
  const { status, grpcStatus, body, contentType } = answer;
  if (grpcStatus !== noGrpcStatus) {
    sendGrpcHead(stream, [...grpcFields(grpcStatus, body.toString()), ...answer.fields]);
    return;
  }
  const fields = [...answer.fields];
  const contentLength = hasNoBody(status) ? null : body.length;
  if (contentLength !== null && contentType !== '') fields.push('content-type', contentType);
  const end = head.method === 'HEAD' || hasNoBody(status) || body.length === 0;
  if (!stream.sendHead({ status, fields, contentLength }, end)) stream.reset('internal');
  else if (!end) stream.sendData(body, true);
}

/** RFC 9110 §15.3.5, §15.4.5; 205 has none either, and says so by its length (§15.3.6). */
function hasNoBody(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}
