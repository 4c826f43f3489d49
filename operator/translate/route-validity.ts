// What is wrong with the routes of a TrafficPolicy in themselves, with the path of the field. Pure.

import type {
  BackendSpec,
  PathSpec,
  RetrySpec,
  RouteMatchSpec,
  RouteSpec,
  ValueMatchSpec,
} from '../resources/tsmesh.ts';
import {
  choiceFaults,
  durationFaults,
  grpcCodeFaults,
  integerFaults,
  percentFaults,
  regexFaults,
} from './field-checks.ts';
import type { Fault } from './field-checks.ts';
import { isRetryCondition } from './retry.ts';

/** Of a whole request. */
export const requestRange = ['0s', '24h'] as const;
/** Visible ASCII without query and fragment. */
const sentPath = /^\/[!"$->@-~]*$/;
const grpcName = /^[A-Za-z_][A-Za-z0-9_.]*$/;

export function routeFaults(path: string, route: RouteSpec): Fault[] {
  return [
    ...matchFaults(`${path}.matches`, route.matches),
    ...durationFaults(`${path}.timeout`, route.timeout, requestRange),
    ...durationFaults(`${path}.idleTimeout`, route.idleTimeout, requestRange),
    ...retryFaults(`${path}.retries`, route.retries),
    ...backendFaults(`${path}.backends`, route.backends),
    ...(route.mirrors ?? []).flatMap((one, i) =>
      percentFaults(`${path}.mirrors[${i}].percent`, one.percent),
    ),
    ...trouble(`${path}.fault`, route.fault),
    ...targetFaults(`${path}.rewrite.path`, route.rewrite?.path),
    ...redirectFaults(`${path}.redirect`, route.redirect),
    ...answerFaults(path, route),
    ...conflictFaults(path, route),
  ];
}

export function matchFaults(path: string, matches: RouteMatchSpec[] | undefined): Fault[] {
  return (matches ?? []).flatMap((match, i) => {
    const at = `${path}[${i}]`;
    return [
      ...pathFaults(`${at}.path`, match.path),
      ...valueFaults(`${at}.headers`, match.headers),
      ...valueFaults(`${at}.queryParams`, match.queryParams),
      ...grpcFaults(at, match),
      ...(match.source === undefined
        ? []
        : choiceFaults(`${at}.source`, match.source, ['labels', 'namespaces'], 'at least one')),
    ];
  });
}

function pathFaults(path: string, spec: PathSpec | undefined): Fault[] {
  if (spec === undefined) return [];
  const choice = choiceFaults(path, spec, ['exact', 'prefix', 'regex'], 'one');
  return choice.length > 0 ? choice : regexFaults(`${path}.regex`, spec.regex);
}

function valueFaults(path: string, list: ValueMatchSpec[] | undefined): Fault[] {
  return (list ?? []).flatMap((value, i) => {
    const at = `${path}[${i}]`;
    const choice = choiceFaults(at, value, ['exact', 'prefix', 'regex', 'present'], 'one');
    return choice.length > 0 ? choice : regexFaults(`${at}.regex`, value.regex);
  });
}

/** A name goes into a path as it is, and into a pattern. */
function grpcFaults(at: string, { grpc, path, methods }: RouteMatchSpec): Fault[] {
  if (grpc === undefined) return [];
  const faults = choiceFaults(`${at}.grpc`, grpc, ['service', 'method'], 'at least one');
  for (const part of ['service', 'method'] as const) {
    if (grpc[part] !== undefined && !grpcName.test(grpc[part])) {
      faults.push({ path: `${at}.grpc.${part}`, message: `"${grpc[part]}" is no name of gRPC` });
    }
  }
  if (path !== undefined || methods !== undefined) {
    faults.push({ path: at, message: 'grpc stands in place of path and methods' });
  }
  return faults;
}

export function retryFaults(path: string, retry: RetrySpec | undefined): Fault[] {
  if (retry === undefined) return [];
  const unknown = (retry.retryOn ?? []).flatMap((condition, i) => {
    if (isRetryCondition(condition)) return [];
    return [
      { path: `${path}.retryOn[${i}]`, message: `"${condition}" is nothing that can be retried` },
    ];
  });
  const { base, max } = retry.backoff ?? {};
  return [
    ...unknown,
    ...integerFaults(`${path}.attempts`, retry.attempts, [0, 10]),
    ...(retry.retryStatuses ?? []).flatMap((status, i) =>
      integerFaults(`${path}.retryStatuses[${i}]`, status, [400, 599]),
    ),
    ...(retry.retryGrpcCodes ?? []).flatMap((code, i) =>
      grpcCodeFaults(`${path}.retryGrpcCodes[${i}]`, code),
    ),
    ...durationFaults(`${path}.perTryTimeout`, retry.perTryTimeout, ['1ms', '24h']),
    ...durationFaults(`${path}.backoff.base`, base, ['1ms', '1m']),
    ...durationFaults(`${path}.backoff.max`, max, ['1ms', '5m']),
    ...integerFaults(`${path}.budget.percent`, retry.budget?.percent, [0, 100]),
    ...integerFaults(`${path}.budget.minConcurrent`, retry.budget?.minConcurrent, [0, 1000]),
  ];
}

function backendFaults(path: string, backends: BackendSpec[] | undefined): Fault[] {
  if (backends === undefined) return [];
  const faults = backends.flatMap(({ weight }, i) =>
    integerFaults(`${path}[${i}].weight`, weight, [0, 1000]),
  );
  if (backends.every(({ weight }) => weight === 0)) {
    faults.push({ path, message: 'at least one backend must have a weight above 0' });
  }
  return faults;
}

function trouble(path: string, fault: RouteSpec['fault']): Fault[] {
  if (fault === undefined) return [];
  const { delay, abort } = fault;
  return [
    ...choiceFaults(path, fault, ['delay', 'abort'], 'at least one'),
    ...durationFaults(`${path}.delay.duration`, delay?.duration, ['1ms', '1h']),
    ...percentFaults(`${path}.delay.percent`, delay?.percent),
    ...(abort === undefined
      ? []
      : choiceFaults(`${path}.abort`, abort, ['status', 'grpcCode'], 'at least one')),
    ...integerFaults(`${path}.abort.status`, abort?.status, [200, 599]),
    ...grpcCodeFaults(`${path}.abort.grpcCode`, abort?.grpcCode),
    ...percentFaults(`${path}.abort.percent`, abort?.percent),
  ];
}

type Target = NonNullable<RouteSpec['rewrite']>['path'];

/** What is written into a request or an answer must not end its line, nor begin a query. */
function targetFaults(path: string, spec: Target | undefined): Fault[] {
  if (spec === undefined) return [];
  return (['prefix', 'full'] as const).flatMap((name) =>
    spec[name] === undefined || sentPath.test(spec[name])
      ? []
      : [{ path: `${path}.${name}`, message: "must begin with '/' and be written as it is sent" }],
  );
}

function redirectFaults(path: string, spec: RouteSpec['redirect']): Fault[] {
  if (spec === undefined) return [];
  const faults = targetFaults(`${path}.path`, spec.path);
  const { scheme, host, port, path: target } = spec;
  const moves = [scheme, host, port, target].some((part) => part !== undefined);
  // 303 makes a GET of a POST, and so leads elsewhere.
  if (!moves && spec.status !== 303) {
    faults.push({ path, message: 'sends the client to where it came from' });
  }
  return faults;
}

function answerFaults(path: string, { directResponse: answer, cors }: RouteSpec): Fault[] {
  const faults = [
    ...integerFaults(`${path}.directResponse.status`, answer?.status, [200, 599]),
    ...durationFaults(`${path}.cors.maxAge`, cors?.maxAge, ['0s', '24h']),
  ];
  if (cors?.allowCredentials === true && cors.allowOrigins.includes('*')) {
    const message = "needs allowOrigins to be named: with '*' every page could act for its visitor";
    faults.push({ path: `${path}.cors.allowCredentials`, message });
  }
  return faults;
}

function conflictFaults(path: string, route: RouteSpec): Fault[] {
  const ends = choiceFaults(path, route, ['backends', 'redirect', 'directResponse'], 'at most one');
  if (route.redirect === undefined && route.directResponse === undefined) return ends;
  const needless = (['rewrite', 'mirrors', 'fault'] as const).filter(
    (name) => route[name] !== undefined,
  );
  return [
    ...ends,
    ...needless.map((name) => ({
      path: `${path}.${name}`,
      message: 'needs a request that is sent on: this route answers it',
    })),
  ];
}
