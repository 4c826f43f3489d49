// What is wrong with a policy in itself, with the path of the field: what the CRD's schema cannot say,
// and what it would say to an object that came past it. An invalid policy has no effect. Pure.

import { patternFault } from '../../proxy/api/pattern.ts';
import { durationHint, parseDuration } from '../resources/duration.ts';
import type {
  MeshSpec,
  OutlierDetectionSpec,
  PathSpec,
  RetrySpec,
  RouteSpec,
  TrafficPolicySpec,
  ValueMatchSpec,
} from '../resources/tsmesh.ts';
import { isRetryCondition } from './retry.ts';

export interface Fault {
  /** `spec.routes[0].timeout`. */
  path: string;
  message: string;
}

export function trafficPolicyFaults(spec: TrafficPolicySpec): Fault[] {
  return [
    ...durationFaults('spec.timeout', spec.timeout),
    ...retryFaults('spec.retries', spec.retries),
    ...outlierFaults('spec.outlierDetection', spec.outlierDetection),
    ...(spec.routes ?? []).flatMap((route, i) => routeFaults(`spec.routes[${i}]`, route)),
  ];
}

export function meshFaults(spec: MeshSpec): Fault[] {
  const { certificates, proxy, defaults } = spec;
  return [
    ...durationFaults('spec.certificates.workloadLifetime', certificates?.workloadLifetime),
    ...durationFaults('spec.certificates.rootLifetime', certificates?.rootLifetime),
    ...durationFaults('spec.proxy.statisticsInterval', proxy?.statisticsInterval),
    ...durationFaults('spec.defaults.timeout', defaults?.timeout),
    ...retryFaults('spec.defaults.retries', defaults?.retries),
  ];
}

function routeFaults(path: string, route: RouteSpec): Fault[] {
  const matches = (route.matches ?? []).flatMap((match, i) => {
    const at = `${path}.matches[${i}]`;
    return [
      ...pathFaults(`${at}.path`, match.path),
      ...valueFaults(`${at}.headers`, match.headers),
      ...valueFaults(`${at}.queryParams`, match.queryParams),
    ];
  });
  return [
    ...matches,
    ...durationFaults(`${path}.timeout`, route.timeout),
    ...retryFaults(`${path}.retries`, route.retries),
    ...conflictFaults(path, route),
  ];
}

function conflictFaults(path: string, route: RouteSpec): Fault[] {
  if (route.redirect === undefined || route.backends === undefined) return [];
  return [{ path: `${path}.backends`, message: 'a route with a redirect has no backends' }];
}

function pathFaults(path: string, spec: PathSpec | undefined): Fault[] {
  if (spec === undefined) return [];
  const given = [spec.exact, spec.prefix, spec.regex].filter((value) => value !== undefined);
  if (given.length !== 1)
    return [{ path, message: 'must have exactly one of exact, prefix, regex' }];
  return regexFaults(`${path}.regex`, spec.regex);
}

function valueFaults(path: string, list: ValueMatchSpec[] | undefined): Fault[] {
  return (list ?? []).flatMap((value, i) => {
    const given = [value.exact, value.prefix, value.regex, value.present];
    const at = `${path}[${i}]`;
    if (given.filter((one) => one !== undefined).length !== 1) {
      return [{ path: at, message: 'must have exactly one of exact, prefix, regex, present' }];
    }
    return regexFaults(`${at}.regex`, value.regex);
  });
}

function regexFaults(path: string, regex: string | undefined): Fault[] {
  if (regex === undefined) return [];
  const message = patternFault(regex);
  return message === null ? [] : [{ path, message }];
}

function retryFaults(path: string, retry: RetrySpec | undefined): Fault[] {
  if (retry === undefined) return [];
  const unknown = (retry.retryOn ?? []).flatMap((condition, i) =>
    isRetryCondition(condition)
      ? []
      : [
          {
            path: `${path}.retryOn[${i}]`,
            message: `"${condition}" is nothing that can be retried`,
          },
        ],
  );
  return [
    ...unknown,
    ...durationFaults(`${path}.perTryTimeout`, retry.perTryTimeout),
    ...durationFaults(`${path}.backoff.base`, retry.backoff?.base),
    ...durationFaults(`${path}.backoff.max`, retry.backoff?.max),
  ];
}

function outlierFaults(path: string, spec: OutlierDetectionSpec | undefined): Fault[] {
  return [
    ...durationFaults(`${path}.baseEjectionTime`, spec?.baseEjectionTime),
    ...durationFaults(`${path}.maxEjectionTime`, spec?.maxEjectionTime),
  ];
}

function durationFaults(path: string, text: string | undefined): Fault[] {
  if (text === undefined || parseDuration(text) !== null) return [];
  return [{ path, message: durationHint(text) }];
}
