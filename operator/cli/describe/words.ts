// What is configured, in words: matches, routes and the settings of a destination, from what a sidecar is sent. Pure.

import type {
  Balancing,
  DestinationResource,
  HttpRoute,
  OutlierDetection,
  RetryPolicy,
  RouteMatch,
  StringMatch,
} from '../../../proxy/api/resources.ts';

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
    ...backendWords(route, own),
    ...changeWords(route),
    ...faultWords(route),
    ...(route.mirrors ?? []).map(({ endpoints, percent }) => `${percent} % copied to ${endpoints}`),
    ...(route.cors === undefined ? [] : [`CORS for ${route.cors.allowOrigins.join(', ')}`]),
    ...(route.timeoutMs === null ? [] : [`at most ${msWords(route.timeoutMs)}`]),
    ...(route.idleTimeoutMs == null ? [] : [`idle at most ${msWords(route.idleTimeoutMs)}`]),
    ...(route.retry === null ? [] : [retryWords(route.retry)]),
  ];
}

function answerWords({ redirect, directResponse }: HttpRoute): string[] {
  if (directResponse !== undefined)
    return [`answered by the sidecar with ${directResponse.status}`];
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

function backendWords({ backends, redirect, directResponse }: HttpRoute, own: string): string[] {
  if (redirect !== null || directResponse !== undefined) return [];
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
  const named = (change: HttpRoute['requestHeaders']): string =>
    [...(change?.set ?? []), ...(change?.add ?? [])]
      .map(({ name }) => name)
      .concat((change?.remove ?? []).map((name) => `-${name}`))
      .join(', ');
  return [
    ...(path === null
      ? []
      : ['full' in path ? `path becomes ${path.full}` : `prefix becomes ${path.prefix}`]),
    ...(rewrite?.host == null ? [] : [`host becomes ${rewrite.host}`]),
    ...(requestHeaders === null ? [] : [`changes request headers ${named(requestHeaders)}`]),
    ...(responseHeaders === null ? [] : [`changes response headers ${named(responseHeaders)}`]),
  ];
}

function faultWords({ fault }: HttpRoute): string[] {
  const { delay, abort } = fault ?? {};
  return [
    ...(delay === undefined ? [] : [`${delay.percent} % held back for ${msWords(delay.ms)}`]),
    ...(abort === undefined
      ? []
      : [`${abort.percent} % answered ${abort.status ?? `gRPC ${abort.grpcCode}`} on purpose`]),
  ];
}

function retryWords({
  attempts,
  on,
  onStatuses = [],
  onGrpcCodes = [],
  perTryTimeoutMs,
}: RetryPolicy): string {
  const conditions = [...on, ...onStatuses, ...onGrpcCodes.map((code) => `gRPC ${code}`)].join(
    ', ',
  );
  const each = perTryTimeoutMs === null ? '' : `, each at most ${msWords(perTryTimeoutMs)}`;
  return `${attempts} ${attempts === 1 ? 'retry' : 'retries'} on ${conditions}${each}`;
}

/** How a destination is called, whatever the route; empty where everything is by default. */
export function settingWords(destination: DestinationResource): string[] {
  const { balancing, limits, outlierDetection, connectTimeoutMs, tcpIdleTimeoutMs } = destination;
  const bounds = [
    [limits?.maxConnections, 'connections'],
    [limits?.maxActiveRequests, 'requests at a time'],
    [limits?.maxPendingRequests, 'requests waiting'],
  ] as const;
  return [
    ...(balancing === undefined ? [] : balancingWords(balancing)),
    ...bounds.flatMap(([most, what]) => (most == null ? [] : [`at most ${most} ${what}`])),
    ...(outlierDetection === undefined ? [] : [outlierWords(outlierDetection)]),
    ...(connectTimeoutMs === undefined ? [] : [`connects within ${msWords(connectTimeoutMs)}`]),
    ...(tcpIdleTimeoutMs === undefined ? [] : [`TCP idle at most ${msWords(tcpIdleTimeoutMs)}`]),
  ];
}

function balancingWords({ method, hash, slowStartMs, affinity, zones }: Balancing): string[] {
  const by = (hash?.by ?? []).map((one) => {
    if ('header' in one) return `header ${one.header}`;
    if ('cookie' in one) return `cookie ${one.cookie}`;
    return 'query' in one ? `query ${one.query}` : "the caller's address";
  });
  return [
    by.length === 0 ? `balanced by ${method}` : `balanced by ${method} of ${by.join(', then ')}`,
    ...(slowStartMs === undefined
      ? []
      : [`new endpoints begin slowly, over ${msWords(slowStartMs)}`]),
    ...(affinity === undefined ? [] : [`callers keep their endpoint by cookie ${affinity.cookie}`]),
    ...(zones === undefined ? [] : ['endpoints of the own zone first']),
  ];
}

function outlierWords(outlier: OutlierDetection): string {
  const { consecutive5xx, consecutiveGatewayErrors, successRate, latency } = outlier;
  const reasons = [
    ...(consecutive5xx === 0 ? [] : [`${consecutive5xx} failures in a row`]),
    ...(consecutiveGatewayErrors === 0
      ? []
      : [`${consecutiveGatewayErrors} of 502 to 504 in a row`]),
    ...(successRate === undefined ? [] : ['failing more than the others']),
    ...(latency === undefined ? [] : ['slower than the others']),
  ];
  const most = `${outlier.maxEjectionPercent} % at most`;
  const first = msWords(outlier.baseEjectionMs);
  return `endpoints left out after ${reasons.join(', or ')}: ${first} at first, ${most}`;
}

export function counted(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

function msWords(ms: number): string {
  if (ms % 60_000 === 0) return `${ms / 60_000} min`;
  return ms % 1_000 === 0 ? `${ms / 1_000} s` : `${ms} ms`;
}
