// What is configured of routes, in words: which requests, and what becomes of them, from what a sidecar is sent. Pure.

import type {
  Cors,
  Fault,
  HeaderChange,
  HttpRoute,
  RetryPolicy,
  RouteMatch,
  StringMatch,
  WeightedBackend,
} from '../../../proxy/api/resources.ts';
import { counted, msWords } from './units.ts';

/** `every request`, or `GET, path /a…, header x = 1`; several joined by `or`. */
export function matchWords(matches: readonly RouteMatch[]): string {
  return matches.length === 0 ? 'every request' : matches.map(oneMatch).join('; or ');
}

function oneMatch({ path, methods = [], headers = [], query = [], source }: RouteMatch): string {
  const parts = [
    ...(methods.length === 0 ? [] : [methods.join(' or ')]),
    ...(path === undefined ? [] : [`path ${pathWords(path)}`]),
    ...headers.map(({ name, value }) => `header ${name} ${valueWords(value)}`),
    ...query.map(({ name, value }) => `query ${name} ${valueWords(value)}`),
    ...Object.entries(source?.labels ?? {}).map(([key, value]) => `from pods with ${key}=${value}`),
    ...(source?.namespaces === undefined ? [] : [`from ${source.namespaces.join(' or ')}`]),
  ];
  return parts.length === 0 ? 'every request' : parts.join(', ');
}

function pathWords(path: NonNullable<RouteMatch['path']>): string {
  if ('exact' in path) return path.exact;
  return 'prefix' in path ? `${path.prefix.replace(/\/$/, '')}/…` : `like ${path.regex}`;
}

function valueWords(match: StringMatch): string {
  if ('exact' in match) return `= ${match.exact}`;
  if ('prefix' in match) return `= ${match.prefix}…`;
  if ('regex' in match) return `like ${match.regex}`;
  return match.present ? 'is there' : 'is not there';
}

/** What becomes of a request that takes the route: one entry each. `own`: the endpoints of the Service that was called. */
export function routeWords(route: HttpRoute, own: string): string[] {
  return [
    ...answerWords(route),
    ...targetWords(route, own),
    ...changeWords(route),
    ...faultWords(route),
    ...(route.mirrors ?? []).map(({ endpoints, percent }) => `${percent} % copied to ${endpoints}`),
    ...(route.cors === undefined ? [] : [corsWords(route.cors)]),
    ...(route.timeoutMs === null ? [] : [`at most ${msWords(route.timeoutMs)}`]),
    ...(route.idleTimeoutMs == null ? [] : [`idle at most ${msWords(route.idleTimeoutMs)}`]),
    ...(route.retry === null ? [] : [retryWords(route.retry)]),
  ];
}

function answerWords({ redirect, directResponse }: HttpRoute): string[] {
  if (directResponse !== undefined) {
    const { status, body, contentType } = directResponse;
    const what =
      body === '' ? '' : `, ${counted(Buffer.byteLength(body), 'byte')} of ${contentType}`;
    return [`answered by the sidecar with ${status}${what}`];
  }
  if (redirect === null) return [];
  return [`redirected with ${redirect.status} to ${locationWords(redirect)}`];
}

/** `https://shop.example:8443/new/…`; <host> and <path> stay as they are. */
function locationWords({ scheme, host, port, path }: NonNullable<HttpRoute['redirect']>): string {
  const origin = [
    scheme === null ? '' : `${scheme}://`,
    host ?? (scheme === null && port === null ? '' : '<host>'),
    port === null ? '' : `:${port}`,
  ].join('');
  if (path === null) return `${origin}<path>`;
  return origin + ('full' in path ? path.full : pathWords(path));
}

function targetWords({ backends, redirect, directResponse }: HttpRoute, own: string): string[] {
  return redirect !== null || directResponse !== undefined ? [] : backendWords(backends, own);
}

/** Where requests or connections go: one entry each. */
export function backendWords(backends: readonly WeightedBackend[], own: string): string[] {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  const used = backends.filter(({ weight }) => weight > 0);
  if (used.length === 0) return ['nothing to send it to: 500'];
  return used.map(({ endpoints, weight, missing }) => {
    const share = weight === total ? '' : `${Math.round((1000 * weight) / total) / 10} % `;
    if (missing !== undefined) return `${share}answered 500: ${missing} does not exist`;
    if (endpoints.startsWith('pod/')) return `${share}to the pod itself`;
    if (endpoints === own) return `${share}to its own endpoints`;
    // A subset of them: its labels are what tells it apart.
    const labels = endpoints.startsWith(`${own}/`) ? endpoints.slice(own.length + 1) : null;
    return labels === null ? `${share}to ${endpoints}` : `${share}to its endpoints with ${labels}`;
  });
}

function changeWords({ rewrite, requestHeaders, responseHeaders }: HttpRoute): string[] {
  const path = rewrite?.path ?? null;
  return [
    ...(path === null
      ? []
      : ['full' in path ? `path becomes ${path.full}` : `prefix becomes ${path.prefix}`]),
    ...(rewrite?.host == null ? [] : [`host becomes ${rewrite.host}`]),
    ...headerWords('request', requestHeaders),
    ...headerWords('response', responseHeaders),
  ];
}

function headerWords(of: string, change: HeaderChange | null): string[] {
  if (change === null) return [];
  const pairs = (list: HeaderChange['set']): string =>
    list.map(({ name, value }) => `${name}: ${value}`).join(', ');
  const { set, add, remove } = change;
  return [
    ...(set.length === 0 ? [] : [`sets ${of} headers ${pairs(set)}`]),
    ...(add.length === 0 ? [] : [`adds ${of} headers ${pairs(add)}`]),
    ...(remove.length === 0 ? [] : [`removes ${of} headers ${remove.join(', ')}`]),
  ];
}

function corsWords(cors: Cors): string {
  const { allowOrigins, allowMethods, allowHeaders, exposeHeaders, maxAgeSeconds } = cors;
  const lists = [
    ['with', allowMethods],
    ['headers', allowHeaders],
    ['showing', exposeHeaders],
  ] as const;
  return [
    `CORS for ${allowOrigins.join(', ')}`,
    ...lists.flatMap(([what, some]) => (some.length === 0 ? [] : [`${what} ${some.join(', ')}`])),
    ...(cors.allowCredentials ? ['with credentials'] : []),
    ...(maxAgeSeconds === null ? [] : [`kept for ${msWords(maxAgeSeconds * 1000)}`]),
  ].join('; ');
}

function faultWords({ fault }: HttpRoute): string[] {
  const { delay, abort } = fault ?? {};
  return [
    ...(delay === undefined ? [] : [`${delay.percent} % held back for ${msWords(delay.ms)}`]),
    ...(abort === undefined ? [] : [`${abort.percent} % answered ${abortWords(abort)} on purpose`]),
  ];
}

function abortWords({ status, grpcCode }: NonNullable<Fault['abort']>): string {
  const codes = [
    ...(status === null ? [] : [String(status)]),
    ...(grpcCode === null ? [] : [`gRPC ${grpcCode}`]),
  ];
  return codes.join(' or ');
}

function retryWords(retry: RetryPolicy): string {
  const { attempts, on, onStatuses = [], onGrpcCodes = [], perTryTimeoutMs } = retry;
  const conditions = [...on, ...onStatuses, ...onGrpcCodes.map((code) => `gRPC ${code}`)];
  const { backoffMs, maxBackoffMs, budgetPercent, budgetMinConcurrent } = retry;
  return [
    `${attempts} ${attempts === 1 ? 'retry' : 'retries'} on ${conditions.join(', ')}`,
    ...(perTryTimeoutMs === null ? [] : [`each at most ${msWords(perTryTimeoutMs)}`]),
    `${backoffMs} to ${maxBackoffMs} ms apart`,
    `at most ${budgetPercent} % of the requests at a time, or ${budgetMinConcurrent}`,
  ].join(', ');
}
