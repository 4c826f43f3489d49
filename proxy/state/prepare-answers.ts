// From what a route says beside its backends (direct response, mirrors, fault, CORS) to what the hot path reads. A value
// that is wrong throws a ShapeError with its place; nothing is decided here.

import type { Mirror } from '../api/resources.ts';
import { grpcOfHttp, httpOfGrpc } from '../policy/grpc-http.ts';
import { compileOrigins } from '../policy/origin.ts';
import type {
  PreparedAbort,
  PreparedCors,
  PreparedDirectResponse,
  PreparedFault,
  PreparedRoute,
} from './prepared.ts';
import {
  fail,
  integer,
  integerOrNull,
  list,
  object,
  pointer,
  stringItem,
  text,
  type JsonObject,
} from './reader.ts';

type Answers = Pick<PreparedRoute, 'directResponse' | 'mirrors' | 'fault' | 'cors'>;

/** What an answer of the sidecar's own may carry: a page of words, not a file. */
const maxBodyChars = 65_536;
/** A test of patience, not of days. */
const delayRange = { min: 1, max: 3_600_000 } as const;
/** A final answer; what opens a tunnel is none. */
const statusRange = { min: 200, max: 599 } as const;
const grpcRange = { min: 0, max: 16 } as const;
/** Of one request. */
const maxMirrors = 16;

export function prepareAnswers(from: JsonObject, path: string): Answers {
  const mirrors = list(from, 'mirrors', path, prepareMirror);
  if (mirrors.length > maxMirrors) fail(pointer(path, 'mirrors'), `more than ${maxMirrors}`);
  return {
    directResponse: prepareDirect(from['directResponse'], pointer(path, 'directResponse')),
    mirrors: mirrors.length === 0 ? null : mirrors,
    fault: prepareFault(from['fault'], pointer(path, 'fault')),
    cors: prepareCors(from['cors'], pointer(path, 'cors')),
  };
}

function prepareMirror(value: unknown, path: string): Mirror {
  const from = object(value, path);
  return { endpoints: text(from, 'endpoints', path), percent: percentOf(from, path) };
}

/** May have decimals. */
function percentOf(from: JsonObject, path: string): number {
  const { percent } = from;
  if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100))
    fail(pointer(path, 'percent'), 'must be a number from 0 to 100');
  return percent;
}

function prepareDirect(value: unknown, path: string): PreparedDirectResponse | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const { body } = from;
  if (typeof body !== 'string') fail(pointer(path, 'body'), 'must be a string');
  if (body.length > maxBodyChars)
    fail(pointer(path, 'body'), `longer than ${maxBodyChars} characters`);
  return {
    status: integer(from, 'status', path, statusRange),
    body: Buffer.from(body),
    contentType: fieldValue(text(from, 'contentType', path), pointer(path, 'contentType')),
  };
}

function prepareFault(value: unknown, path: string): PreparedFault | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const delay = prepareDelay(from['delay'], pointer(path, 'delay'));
  const abort = prepareAbort(from['abort'], pointer(path, 'abort'));
  return delay === null && abort === null ? null : { delay, abort };
}

function prepareDelay(value: unknown, path: string): PreparedFault['delay'] {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  return { ms: integer(from, 'ms', path, delayRange), percent: percentOf(from, path) };
}

/** What is not given follows from what is. */
function prepareAbort(value: unknown, path: string): PreparedAbort | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const status = integerOrNull(from, 'status', path, statusRange);
  const grpcCode = integerOrNull(from, 'grpcCode', path, grpcRange);
  if (status === null && grpcCode === null) fail(path, 'needs status or grpcCode');
  return {
    httpStatus: status ?? httpOfGrpc(grpcCode!),
    grpcStatus: grpcCode ?? grpcOfHttp(status!),
    percent: percentOf(from, path),
  };
}

function prepareCors(value: unknown, path: string): PreparedCors | null {
  if (value === undefined || value === null) return null;
  const from = object(value, path);
  const credentials = from['allowCredentials'];
  if (typeof credentials !== 'boolean')
    fail(pointer(path, 'allowCredentials'), 'must be true or false');
  const origins = list(from, 'allowOrigins', path, originItem);
  const methods = names(from, 'allowMethods', path);
  const headers = names(from, 'allowHeaders', path);
  const maxAge = integerOrNull(from, 'maxAgeSeconds', path, { min: 0, max: 86_400 });
  return {
    // With credentials `*` is no permission (Fetch, "CORS protocol and credentials"): the origin is named instead.
    star: !credentials && origins.includes('*'),
    allows: compileOrigins(origins),
    methods: methods.includes('*') ? null : methods.join(', '),
    headers: headers.includes('*') ? null : headers.join(', '),
    exposed: names(from, 'exposeHeaders', path).join(', '),
    credentials,
    maxAge: maxAge === null ? null : String(maxAge),
  };
}

function originItem(value: unknown, path: string): string {
  const origin = fieldValue(stringItem(value, path), path);
  if (origin.indexOf('*') !== origin.lastIndexOf('*')) fail(path, 'may have one * only');
  return origin;
}

/** RFC 9110 §5.6.2 token. */
const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

function names(from: JsonObject, key: string, path: string): string[] {
  return list(from, key, path, (value, at) => {
    const name = stringItem(value, at);
    return token.test(name) ? name : fail(at, 'is not a name');
  });
}

function fieldValue(value: string, path: string): string {
  if (!/^[\x20-\x7e]*$/.test(value)) fail(path, 'holds a character that no header may hold');
  return value;
}
