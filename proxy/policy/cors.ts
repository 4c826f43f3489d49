// CORS as the Fetch standard has it: what browsers are told of who may read answers, from the policy of a route. Pure.
// The browser enforces it; a request is never refused for it.

import type { Fields, RequestHead } from '../codec/session.ts';
import type { PreparedCors } from '../state/prepared.ts';
import { fieldLine } from './route-match.ts';

/** Fetch, "CORS-preflight request". `method`: the one that the browser asks for. */
export interface Preflight {
  readonly origin: string;
  readonly method: string;
  /** Names of headers, as asked; undefined: none. */
  readonly headers: string | undefined;
}

/** Null: an ordinary request. */
export function preflightOf({ method, fields }: RequestHead): Preflight | null {
  if (method !== 'OPTIONS') return null;
  const origin = fieldLine(fields, 'origin');
  const asked = fieldLine(fields, 'access-control-request-method');
  if (origin === undefined || asked === undefined) return null;
  return { origin, method: asked, headers: fieldLine(fields, 'access-control-request-headers') };
}

/** Fields of the answer to a preflight: without a permission where the origin has none. */
export function preflightFields(cors: PreparedCors, preflight: Preflight): Fields {
  const { methods, headers, maxAge, star } = cors;
  const asks = 'access-control-request-method, access-control-request-headers';
  const vary = ['vary', star ? asks : `origin, ${asks}`];
  if (!isAllowed(cors, preflight.origin)) return vary;
  const fields = permission(cors, preflight.origin);
  fields.push('access-control-allow-methods', methods ?? preflight.method);
  const names = headers ?? preflight.headers;
  if (names !== undefined && names !== '') fields.push('access-control-allow-headers', names);
  if (maxAge !== null) fields.push('access-control-max-age', maxAge);
  fields.push(...vary);
  return fields;
}

/** What is said in the answer to a request that is no preflight. */
export function answerFields(cors: PreparedCors, request: Fields): Fields {
  // Always, so that caches need not tell origins apart.
  if (cors.star) return withExposed(cors, ['access-control-allow-origin', '*']);
  const origin = fieldLine(request, 'origin');
  const vary = ['vary', 'origin'];
  if (origin === undefined || !isAllowed(cors, origin)) return vary;
  const fields = withExposed(cors, permission(cors, origin));
  fields.push(...vary);
  return fields;
}

/** The fields of an app's answer with what the policy says in place of what the app says of it. */
export function replaceCors(answer: Fields, said: Fields): Fields {
  const result: Fields = [];
  for (let i = 0; i < answer.length; i += 2)
    if (!isCors(answer[i]!)) result.push(answer[i]!, answer[i + 1]!);
  for (let i = 0; i < said.length; i += 2)
    if (said[i] !== 'vary' || !varies(answer)) result.push(said[i]!, said[i + 1]!);
  return result;
}

function isAllowed(cors: PreparedCors, origin: string): boolean {
  return cors.star || cors.allows(origin);
}

function permission({ star, credentials }: PreparedCors, origin: string): Fields {
  const fields = ['access-control-allow-origin', star ? '*' : origin];
  if (credentials) fields.push('access-control-allow-credentials', 'true');
  return fields;
}

function withExposed({ exposed }: PreparedCors, fields: Fields): Fields {
  if (exposed !== '') fields.push('access-control-expose-headers', exposed);
  return fields;
}

function isCors(name: string): boolean {
  return name.charCodeAt(0) === 0x61 && name.startsWith('access-control-');
}

/** The app says itself that its answer depends on the origin. */
function varies(fields: Fields): boolean {
  const line = fieldLine(fields, 'vary');
  if (line === undefined) return false;
  return line.split(',').some((one) => ['*', 'origin'].includes(one.trim().toLowerCase()));
}
