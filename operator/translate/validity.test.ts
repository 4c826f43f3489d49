import { describe, expect, it } from '@jest/globals';
import type { RateLimitSpec, RouteSpec, TrafficPolicySpec } from '../resources/tsmesh.ts';
import { meshFaults, trafficPolicyFaults } from './validity.ts';

const service = { name: 'cart' };
const pathsOf = (spec: Partial<TrafficPolicySpec>) =>
  trafficPolicyFaults({ service, ...spec }).map(({ path }) => path);

describe('a TrafficPolicy', () => {
  it('that is right has no faults', () => {
    const route: RouteSpec = {
      matches: [
        { path: { regex: '/a+' }, headers: [{ name: 'x', present: true }], queryParams: [] },
        { methods: ['GET'], source: { labels: { app: 'web' } } },
        { grpc: { service: 'shop.v1.Cart', method: 'Add' }, source: { namespaces: ['web'] } },
      ],
      timeout: '1s',
      idleTimeout: '0s',
      retries: {
        attempts: 1,
        retryOn: ['5xx'],
        retryStatuses: [429],
        retryGrpcCodes: ['ABORTED', 14],
        backoff: { base: '1ms', max: '2ms' },
      },
      backends: [{}, { weight: 0 }],
      mirrors: [{ service: 'copy', percent: 0.1 }],
      fault: { delay: { duration: '1s', percent: 1 }, abort: { grpcCode: 'UNAVAILABLE' } },
      cors: { allowOrigins: ['https://a.example'], allowCredentials: true, maxAge: '10m' },
    };
    const rateLimits: RateLimitSpec[] = [
      { name: 'a', requests: 1, per: [{ identity: true }, { header: 'x' }], matches: [{}] },
      { name: 'b', connections: 1, burst: 5, interval: '1m' },
    ];
    const spec: TrafficPolicySpec = {
      service,
      timeout: '1s',
      connectTimeout: '1s',
      tcpIdleTimeout: '1h',
      loadBalancing: {
        method: 'ConsistentHash',
        consistentHash: { by: [{ header: 'x' }, { cookie: { name: 'c', ttl: '0s' } }] },
        slowStart: '30s',
      },
      limits: { maxConnections: 1, maxPendingRequests: 1, maxActiveRequests: 1 },
      outlierDetection: { interval: '5s', successRate: {}, latency: { minimum: '10ms' } },
      rateLimits,
      routes: [route, { directResponse: { status: 204 } }],
    };
    expect(trafficPolicyFaults(spec)).toEqual([]);
    expect(trafficPolicyFaults({ service })).toEqual([]);
  });

  it.each([
    ['timeout', { timeout: 'soon' }],
    ['timeout', { timeout: '1000000000h' }],
    ['timeout', { timeout: '1e9h' }],
    ['idleTimeout', { idleTimeout: '25h' }],
    ['retries.attempts', { retries: { attempts: -1 } }],
    ['retries.retryOn[0]', { retries: { attempts: 1, retryOn: ['never'] } }],
    ['retries.retryStatuses[1]', { retries: { attempts: 1, retryStatuses: [500, 200] } }],
    ['retries.retryGrpcCodes[0]', { retries: { attempts: 1, retryGrpcCodes: ['OK'] } }],
    ['retries.retryGrpcCodes[0]', { retries: { attempts: 1, retryGrpcCodes: [17] } }],
    ['retries.perTryTimeout', { retries: { attempts: 1, perTryTimeout: '1' } }],
    ['retries.backoff.base', { retries: { attempts: 1, backoff: { base: 'x' } } }],
    ['retries.backoff.max', { retries: { attempts: 1, backoff: { max: '1h' } } }],
    ['retries.budget.percent', { retries: { attempts: 1, budget: { percent: 120 } } }],
    ['matches[0].path', { matches: [{ path: {} }] }],
    ['matches[0].path', { matches: [{ path: { exact: '/', prefix: '/' } }] }],
    ['matches[0].path.regex', { matches: [{ path: { regex: '(' } }] }],
    ['matches[0].path.regex', { matches: [{ path: { regex: '((x{100}){100}){100}' } }] }],
    ['matches[0].headers[0]', { matches: [{ headers: [{ name: 'x' }] }] }],
    [
      'matches[0].queryParams[0].regex',
      { matches: [{ queryParams: [{ name: 'x', regex: '[' }] }] },
    ],
    ['matches[0].grpc', { matches: [{ grpc: {} }] }],
    ['matches[0].grpc.method', { matches: [{ grpc: { method: '.*' } }] }],
    ['matches[0]', { matches: [{ grpc: { method: 'Get' }, methods: ['GET'] }] }],
    ['matches[0].source', { matches: [{ source: {} }] }],
    ['backends', { backends: [{ weight: 0 }, { weight: 0 }] }],
    ['backends[0].weight', { backends: [{ weight: -5 }, {}] }],
    ['mirrors[0].percent', { mirrors: [{ service: 'copy', percent: 101 }] }],
    ['fault', { fault: {} }],
    ['fault.delay.duration', { fault: { delay: { duration: '2h' } } }],
    ['fault.delay.percent', { fault: { delay: { duration: '1s', percent: -1 } } }],
    ['fault.abort', { fault: { abort: {} } }],
    ['fault.abort.status', { fault: { abort: { status: 999 } } }],
    ['fault.abort.grpcCode', { fault: { abort: { grpcCode: 0 } } }],
    ['fault.abort.percent', { fault: { abort: { status: 500, percent: Number.NaN } } }],
    ['directResponse.status', { directResponse: { status: 101 } }],
    ['cors.allowCredentials', { cors: { allowOrigins: ['*'], allowCredentials: true } }],
    ['cors.maxAge', { cors: { allowOrigins: ['*'], maxAge: '25h' } }],
    ['', { redirect: { port: 99 }, backends: [{}] }],
    ['', { redirect: { port: 99 }, directResponse: { status: 200 } }],
    ['redirect', { redirect: { status: 301 } }],
    ['redirect.path.full', { redirect: { path: { full: '/a\r\nset-cookie: b' } } }],
    ['redirect.path.prefix', { redirect: { path: { prefix: '/a?b' } } }],
    ['rewrite.path.full', { rewrite: { path: { full: '/a HTTP/1.1\r\nx: y' } } }],
    ['rewrite.path.prefix', { rewrite: { path: { prefix: '/ä' } } }],
    ['mirrors[0]', { mirrors: [{ service: 'cart' }] }],
    [
      'mirrors[1]',
      { backends: [{ subset: 'a' }], mirrors: [{ service: 'cart' }, { subset: 'a' }] },
    ],
    ['mirrors', { directResponse: { status: 200 }, mirrors: [{ service: 'copy' }] }],
    ['fault', { redirect: { port: 99 }, fault: { abort: { status: 500 } } }],
  ] satisfies [string, RouteSpec][])('is told of a fault of a route at %s', (path, route) => {
    expect(pathsOf({ routes: [route] })).toEqual([`spec.routes[0]${path && '.'}${path}`]);
  });

  it('may have many expressions, and not so many that asking them holds a caller up', () => {
    const routes = (count: number): RouteSpec[] =>
      Array.from({ length: count }, (_, i) => ({
        matches: [{ path: { regex: `/${i}/[a-z]{100}` }, headers: [{ name: 'x', regex: '.*' }] }],
      }));
    expect(pathsOf({ routes: routes(40) })).toEqual([]);
    expect(pathsOf({ routes: routes(60) })).toEqual(['spec']);
  });

  it.each([
    ['connectTimeout', { connectTimeout: '0s' }],
    ['tcpIdleTimeout', { tcpIdleTimeout: 'never' }],
    ['loadBalancing', { loadBalancing: { method: 'ConsistentHash' } }],
    ['loadBalancing', { loadBalancing: { consistentHash: { by: [{ header: 'x' }] } } }],
    [
      'loadBalancing',
      {
        loadBalancing: {
          method: 'ConsistentHash',
          consistentHash: { by: [{ header: 'x' }] },
          affinity: { cookie: { name: 'x' } },
        },
      },
    ],
    [
      'loadBalancing.consistentHash.by[0]',
      { loadBalancing: { method: 'ConsistentHash', consistentHash: { by: [{}] } } },
    ],
    [
      'loadBalancing.consistentHash.maxLoadPercent',
      {
        loadBalancing: {
          method: 'ConsistentHash',
          consistentHash: { by: [{ header: 'x' }], maxLoadPercent: 100 },
        },
      },
    ],
    ['loadBalancing.slowStart', { loadBalancing: { slowStart: '2h' } }],
    [
      'loadBalancing.affinity.cookie.ttl',
      { loadBalancing: { affinity: { cookie: { name: 'x', ttl: 'x' } } } },
    ],
    ['limits.maxConnections', { limits: { maxConnections: 0 } }],
    ['limits.maxPendingRequests', { limits: { maxPendingRequests: -1 } }],
    ['limits.maxActiveRequests', { limits: { maxActiveRequests: 1.5 } }],
    ['outlierDetection.baseEjectionTime', { outlierDetection: { baseEjectionTime: 'x' } }],
    ['outlierDetection.maxEjectionTime', { outlierDetection: { maxEjectionTime: '1' } }],
    ['outlierDetection.maxEjectionPercent', { outlierDetection: { maxEjectionPercent: 101 } }],
    ['outlierDetection.consecutive5xx', { outlierDetection: { consecutive5xx: -1 } }],
    ['outlierDetection.interval', { outlierDetection: { interval: '1ms', latency: {} } }],
    [
      'outlierDetection.successRate.requestVolume',
      { outlierDetection: { successRate: { requestVolume: 0 } } },
    ],
    [
      'outlierDetection.latency.factorPercent',
      { outlierDetection: { latency: { factorPercent: 50 } } },
    ],
    ['rateLimits[0]', { rateLimits: [{ name: 'a' }] }],
    ['rateLimits[0]', { rateLimits: [{ name: 'a', requests: 1, connections: 1 }] }],
    ['rateLimits[0].requests', { rateLimits: [{ name: 'a', requests: 0 }] }],
    ['rateLimits[0].interval', { rateLimits: [{ name: 'a', requests: 1, interval: '1ms' }] }],
    ['rateLimits[0].burst', { rateLimits: [{ name: 'a', requests: 1, burst: 0 }] }],
    ['rateLimits[0].per[0]', { rateLimits: [{ name: 'a', requests: 1, per: [{}] }] }],
    ['rateLimits[0].matches', { rateLimits: [{ name: 'a', connections: 1, matches: [{}] }] }],
    ['rateLimits[0].per', { rateLimits: [{ name: 'a', connections: 1, per: [{ header: 'x' }] }] }],
    [
      'rateLimits[0].matches',
      { rateLimits: [{ name: 'a', requests: 1, matches: [{ source: { labels: { a: 'b' } } }] }] },
    ],
    [
      'rateLimits[0].port',
      { service: { name: 'cart', port: 80 }, rateLimits: [{ name: 'a', requests: 1, port: 81 }] },
    ],
    ['rateLimits[1]', { rateLimits: [1, 2].map((requests) => ({ name: 'a', requests })) }],
    ['routes[1]', { routes: [{ name: 'a' }, { name: 'a' }] }],
  ] satisfies [string, Partial<TrafficPolicySpec>][])('is told of a fault at %s', (path, spec) => {
    expect(pathsOf(spec)).toEqual([`spec.${path}`]);
  });

  it('is told of its own timeout and retries', () => {
    const spec = { timeout: '-1s', retries: { attempts: 1, perTryTimeout: '' } };
    expect(pathsOf(spec)).toEqual(['spec.timeout', 'spec.retries.perTryTimeout']);
  });

  it('is told what would be right', () => {
    const [fault] = trafficPolicyFaults({ service, timeout: '48h' });
    expect(fault!.message).toBe('48h must be a duration from 0s to 24h');
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
