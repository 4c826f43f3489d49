import { describe, expect, it } from '@jest/globals';
import type { RouteSpec } from '../resources/tsmesh.ts';
import { meshFaults, trafficPolicyFaults } from './validity.ts';

const service = { name: 'cart' };
const faultsOf = (route: RouteSpec) => trafficPolicyFaults({ service, routes: [route] });

describe('a TrafficPolicy', () => {
  it('that is right has no faults', () => {
    const route: RouteSpec = {
      matches: [
        { path: { regex: '/a+' }, headers: [{ name: 'x', present: true }], queryParams: [] },
        { methods: ['GET'] },
      ],
      timeout: '1s',
      retries: { attempts: 1, retryOn: ['5xx'], backoff: { base: '1ms', max: '2ms' } },
      backends: [{}],
    };
    expect(trafficPolicyFaults({ service, timeout: '1s', routes: [route] })).toEqual([]);
    expect(trafficPolicyFaults({ service })).toEqual([]);
  });

  it.each([
    ['spec.routes[0].timeout', { timeout: 'soon' }],
    ['spec.routes[0].retries.retryOn[0]', { retries: { attempts: 1, retryOn: ['never'] } }],
    ['spec.routes[0].retries.perTryTimeout', { retries: { attempts: 1, perTryTimeout: '1' } }],
    ['spec.routes[0].retries.backoff.base', { retries: { attempts: 1, backoff: { base: 'x' } } }],
    ['spec.routes[0].retries.backoff.max', { retries: { attempts: 1, backoff: { max: 'x' } } }],
    ['spec.routes[0].matches[0].path', { matches: [{ path: {} }] }],
    ['spec.routes[0].matches[0].path', { matches: [{ path: { exact: '/', prefix: '/' } }] }],
    ['spec.routes[0].matches[0].path.regex', { matches: [{ path: { regex: '(' } }] }],
    ['spec.routes[0].matches[0].headers[0]', { matches: [{ headers: [{ name: 'x' }] }] }],
    [
      'spec.routes[0].matches[0].queryParams[0].regex',
      { matches: [{ queryParams: [{ name: 'x', regex: '[' }] }] },
    ],
    ['spec.routes[0].backends', { redirect: {}, backends: [{}] }],
  ] satisfies [string, RouteSpec][])('is told of a fault at %s', (path, route) => {
    expect(faultsOf(route).map((fault) => fault.path)).toEqual([path]);
  });

  it('is told of ejection times that are none', () => {
    const outlierDetection = { baseEjectionTime: 'x', maxEjectionTime: '1' };
    const faults = trafficPolicyFaults({ service, outlierDetection });
    expect(faults.map(({ path }) => path)).toEqual([
      'spec.outlierDetection.baseEjectionTime',
      'spec.outlierDetection.maxEjectionTime',
    ]);
  });

  it('is told of its own timeout and retries', () => {
    const faults = trafficPolicyFaults({
      service,
      timeout: '-1s',
      retries: { attempts: 1, perTryTimeout: '' },
    });
    expect(faults.map(({ path }) => path)).toEqual(['spec.timeout', 'spec.retries.perTryTimeout']);
  });
});

describe('a Mesh', () => {
  it('is told of every duration that is none', () => {
    const faults = meshFaults({
      certificates: { workloadLifetime: 'a', rootLifetime: 'b' },
      proxy: { statisticsInterval: 'c' },
      defaults: { timeout: 'd', retries: { attempts: 1, perTryTimeout: 'e' } },
    });
    expect(faults.map(({ path }) => path)).toEqual([
      'spec.certificates.workloadLifetime',
      'spec.certificates.rootLifetime',
      'spec.proxy.statisticsInterval',
      'spec.defaults.timeout',
      'spec.defaults.retries.perTryTimeout',
    ]);
    expect(meshFaults({})).toEqual([]);
  });
});
