// What a sidecar does to requests and answers of a route by itself: changes of header fields, rewrites,
// redirects, direct responses, faults, CORS; with the defaults that the CRD documents. Pure.

import type {
  Cors,
  DirectResponse,
  Fault,
  HeaderChange,
  HttpRoute,
} from '../../proxy/api/resources.ts';
import { parseDuration } from '../resources/duration.ts';
import type {
  CorsSpec,
  DirectResponseSpec,
  FaultSpec,
  HeaderChangeSpec,
  RouteSpec,
} from '../resources/tsmesh.ts';
import { grpcCode } from './grpc-codes.ts';
import { timeoutMs } from './retry.ts';

const defaultContentType = 'text/plain; charset=utf-8';
/** What a page may send without being asked (Fetch standard, CORS-safelisted method). */
const defaultMethods = ['GET', 'HEAD', 'POST'];

type Answers = Pick<HttpRoute, 'directResponse' | 'fault' | 'cors'>;

/** Only what the route has. */
export function answersOf(spec: RouteSpec): Answers {
  const faultOf = spec.fault === undefined ? null : fault(spec.fault);
  return {
    ...(spec.directResponse === undefined
      ? {}
      : { directResponse: directResponse(spec.directResponse) }),
    ...(faultOf === null ? {} : { fault: faultOf }),
    ...(spec.cors === undefined ? {} : { cors: cors(spec.cors) }),
  };
}

function directResponse({ status, body, contentType }: DirectResponseSpec): DirectResponse {
  return { status, body: body ?? '', contentType: contentType ?? defaultContentType };
}

/** Null where nothing of it ever happens. */
function fault({ delay, abort }: FaultSpec): Fault | null {
  const ms = timeoutMs(delay?.duration);
  const made: Fault = {};
  if (ms !== null && delay?.percent !== 0) made.delay = { ms, percent: delay?.percent ?? 100 };
  if (abort !== undefined && abort.percent !== 0) {
    made.abort = {
      status: abort.status ?? null,
      grpcCode: abort.grpcCode === undefined ? null : grpcCode(abort.grpcCode),
      percent: abort.percent ?? 100,
    };
  }
  return Object.keys(made).length === 0 ? null : made;
}

function cors(spec: CorsSpec): Cors {
  const maxAgeMs = spec.maxAge === undefined ? null : parseDuration(spec.maxAge);
  return {
    allowOrigins: spec.allowOrigins,
    allowMethods: spec.allowMethods ?? defaultMethods,
    allowHeaders: (spec.allowHeaders ?? []).map((name) => name.toLowerCase()),
    exposeHeaders: spec.exposeHeaders ?? [],
    allowCredentials: spec.allowCredentials ?? false,
    maxAgeSeconds: maxAgeMs === null ? null : Math.floor(maxAgeMs / 1000),
  };
}

export function headerChange(spec: HeaderChangeSpec | undefined): HeaderChange | null {
  if (spec === undefined) return null;
  const lower = (list: { name: string; value: string }[] = []) =>
    list.map(({ name, value }) => ({ name: name.toLowerCase(), value }));
  return {
    set: lower(spec.set),
    add: lower(spec.add),
    remove: (spec.remove ?? []).map((name) => name.toLowerCase()),
  };
}

export function rewrite(spec: RouteSpec['rewrite']): HttpRoute['rewrite'] {
  if (spec === undefined) return null;
  return { path: pathChange(spec.path), host: spec.host ?? null };
}

export function redirect(spec: RouteSpec['redirect']): HttpRoute['redirect'] {
  if (spec === undefined) return null;
  return {
    scheme: spec.scheme ?? null,
    host: spec.host ?? null,
    port: spec.port ?? null,
    path: pathChange(spec.path),
    status: spec.status ?? 302,
  };
}

function pathChange(
  spec: { prefix?: string; full?: string } | undefined,
): { prefix: string } | { full: string } | null {
  if (spec?.prefix !== undefined) return { prefix: spec.prefix };
  return spec?.full === undefined ? null : { full: spec.full };
}
