// The ApiClient on a transport: paths per kind, typed errors, and further tries where a first one got
// no answer or was told to come back. No cache.

import {
  ApiError,
  type ApiClient,
  type ApiErrorCode,
  type Kind,
  type PatchTarget,
} from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { errorText } from '../resources/logger.ts';
import { backoffMs } from '../runtime/backoff.ts';
import { pause } from '../runtime/clock.ts';
import { apiVersionOf, collectionPath, objectPath } from './kinds.ts';
import type { KubeRequest, KubeResponse, KubeTransport } from './transport.ts';

export interface ApiOptions {
  transport: KubeTransport;
  clock: Clock;
  random: () => number;
}

/** In all about 1.5 s of pauses: an admission request, which waits for this, has 10 s. */
const maxAttempts = 5;
const backoff = { baseMs: 100, maxMs: 1_000 };
/** A server that asks for longer than this gets its answer passed on as Unavailable. */
const maxRetryAfterMs = 2_000;
const listPageSize = 500;

export function createApiClient(options: ApiOptions): ApiClient {
  const call = (request: KubeRequest) => sendWithRetries(options, request);
  return {
    async get<T extends KubeObject>(kind: Kind, namespace: string, name: string) {
      try {
        const path = objectPath(kind, namespace, name);
        return (await call({ method: 'GET', path })) as T;
      } catch (error) {
        if (error instanceof ApiError && error.code === 'NotFound') return null;
        throw error;
      }
    },
    async list<T extends KubeObject>(kind: Kind, namespace: string, labelSelector?: string) {
      const selectors: Record<string, string> = {};
      if (labelSelector !== undefined) selectors.labelSelector = labelSelector;
      return (await listAll<T>(call, collectionPath(kind, namespace), selectors)).items;
    },
    async create<T extends KubeObject>(kind: Kind, object: T) {
      const path = collectionPath(kind, object.metadata.namespace ?? '');
      const body = { apiVersion: apiVersionOf(kind), kind, ...object };
      return (await call({ method: 'POST', path, body })) as T;
    },
    async replace<T extends KubeObject>(kind: Kind, object: T) {
      const { namespace, name } = object.metadata;
      const path = objectPath(kind, namespace ?? '', name);
      const body = { apiVersion: apiVersionOf(kind), kind, ...object };
      return (await call({ method: 'PUT', path, body })) as T;
    },
    async patch<T extends KubeObject>(target: PatchTarget, mergePatch: object) {
      const path = objectPath(target.kind, target.namespace, target.name);
      const contentType = 'application/merge-patch+json';
      const suffix = target.subresource === undefined ? '' : `/${target.subresource}`;
      const request = { method: 'PATCH', path: path + suffix, body: mergePatch, contentType };
      return (await call(request as KubeRequest)) as T;
    },
    async delete(kind: Kind, namespace: string, name: string) {
      try {
        await call({ method: 'DELETE', path: objectPath(kind, namespace, name) });
      } catch (error) {
        if (error instanceof ApiError && error.code === 'NotFound') return;
        throw error;
      }
    },
  };
}

export interface ListResult<T> {
  items: T[];
  resourceVersion: string;
}

/** Reads a collection in pages, all of one moment. Items carry no apiVersion and kind, as the API gives them. */
export async function listAll<T extends KubeObject>(
  call: (request: KubeRequest) => Promise<unknown>,
  path: string,
  selectors: Record<string, string>,
): Promise<ListResult<T>> {
  const items: T[] = [];
  let continuation = '';
  for (;;) {
    const query = new URLSearchParams({ ...selectors, limit: String(listPageSize) });
    if (continuation !== '') query.set('continue', continuation);
    const page = (await call({ method: 'GET', path: `${path}?${query.toString()}` })) as {
      metadata?: { continue?: string; resourceVersion?: string };
      items?: T[] | null;
    };
    items.push(...(page.items ?? []));
    continuation = page.metadata?.continue ?? '';
    if (continuation === '') {
      return { items, resourceVersion: page.metadata?.resourceVersion ?? '' };
    }
  }
}

async function sendWithRetries(options: ApiOptions, request: KubeRequest): Promise<unknown> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await sendOnce(options.transport, request);
    if (!(outcome instanceof Again)) return outcome;
    if (attempt >= maxAttempts || outcome.afterMs > maxRetryAfterMs) throw outcome.error;
    const ownMs = backoffMs(backoff, attempt, options.random());
    await pause(options.clock, Math.max(outcome.afterMs, ownMs));
  }
}

/** The answer asks for another try; `error` is what the caller gets when there is none. */
class Again {
  readonly error: ApiError;
  readonly afterMs: number;
  constructor(error: ApiError, afterMs: number) {
    this.error = error;
    this.afterMs = afterMs;
  }
}

/** One try, no pause: the answer as an object, or Again. Rejects with ApiError. */
async function sendOnce(transport: KubeTransport, request: KubeRequest): Promise<unknown> {
  let response: KubeResponse;
  try {
    response = await transport.send(request);
  } catch (error) {
    // Without an answer a write may have happened: every write here is idempotent, or answered by
    // AlreadyExists or Conflict, which callers handle.
    return new Again(new ApiError('Unavailable', 0, `${request.path}: ${errorText(error)}`), 0);
  }
  if (response.status >= 200 && response.status < 300) return parse(response.body);
  const error = apiError(request, response);
  if (error.code === 'Unavailable') return new Again(error, response.retryAfterMs);
  throw error;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw new ApiError(
      'Other',
      200,
      `the API server answered what is not JSON: ${body.slice(0, 80)}`,
    );
  }
}

export function apiError(request: Pick<KubeRequest, 'method' | 'path'>, r: KubeResponse): ApiError {
  let status: { message?: string; reason?: string } = {};
  try {
    status = JSON.parse(r.body) as typeof status;
  } catch {
    status = { message: r.body.slice(0, 200) };
  }
  const message = status.message ?? `${request.method} ${request.path}: status ${r.status}`;
  return new ApiError(errorCode(r.status, status.reason ?? ''), r.status, message);
}

function errorCode(status: number, reason: string): ApiErrorCode {
  switch (status) {
    case 404:
      return 'NotFound';
    case 409:
      return reason === 'AlreadyExists' ? 'AlreadyExists' : 'Conflict';
    case 401:
    case 403:
      return 'Forbidden';
    case 400:
    case 422:
      return 'Invalid';
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return 'Unavailable';
    default:
      return 'Other';
  }
}
