// Every field of the policies is told by `describe`: a description with it is another than one without.

import { describe, expect, it } from '@jest/globals';
import {
  authorizationPolicy,
  mesh,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
  viewOf,
  type Objects,
} from '../../model/test-objects.ts';
import type { MeshSpec, RouteSpec, TrafficPolicySpec } from '../../resources/tsmesh.ts';
import { kindSchemas } from '../files/schemas.ts';
import { styleOf } from '../style.ts';
import { describeService } from './describe.ts';
import { serviceText } from './print.ts';

const shop: Objects = {
  Service: ['cart', 'next'].map((name, i) =>
    service(`shop/${name}`, `10.96.0.${7 + i}`, [{ port: 80, targetPort: 8080 }], {
      selector: { app: name },
    }),
  ),
  Pod: [pod('shop/cart-1', { ip: '10.1.0.1', labels: { app: 'cart' } })],
  EndpointSlice: [
    slice('shop/cart', [{ address: '10.1.0.1', pod: 'cart-1' }], [{ name: '', port: 8080 }]),
  ],
};

function textOf(objects: Objects): string {
  const described = describeService(viewOf({ ...shop, ...objects }), 'shop', 'cart');
  return serviceText(described, styleOf(false)).join('\n').replaceAll(/\n +/g, ' ');
}

const base = { service: { name: 'cart' } };
const policyText = (spec: Partial<TrafficPolicySpec>): string =>
  textOf({ TrafficPolicy: [trafficPolicy('shop/cart', { ...base, ...spec })] });

/** Fields that a schema lists below a path of properties. */
function schemaFields(kind: string, ...path: string[]): string[] {
  let at = kindSchemas.get(kind)!.schema as Record<string, unknown>;
  for (const step of path) at = at[step] as Record<string, unknown>;
  return Object.keys(at).toSorted();
}

const retries = { attempts: 2 };
/** Of each field a value, what is said of it, and what stands beside it. */
const fields: Record<string, [spec: Partial<TrafficPolicySpec>, words: string][]> = {
  timeout: [[{ timeout: '3s' }, 'at most 3 s']],
  idleTimeout: [[{ idleTimeout: '4s' }, 'idle at most 4 s']],
  connectTimeout: [[{ connectTimeout: '700ms' }, 'connects within 700 ms']],
  tcpIdleTimeout: [[{ tcpIdleTimeout: '2h' }, 'TCP idle at most 120 min']],
  retries: [
    [{ retries }, '2 retries on connect-failure, refused-stream, unavailable'],
    [{ retries: { ...retries, retryOn: ['5xx'] } }, 'on 5xx'],
    [
      { retries: { ...retries, retryStatuses: [409], retryGrpcCodes: ['ABORTED'] } },
      '409, gRPC 10',
    ],
    [{ retries: { ...retries, perTryTimeout: '1s' } }, 'each at most 1 s'],
    [{ retries: { ...retries, backoff: { base: '9ms', max: '80ms' } } }, '9 to 80 ms apart'],
    [
      { retries: { ...retries, budget: { percent: 5, minConcurrent: 1 } } },
      'at most 5 % of the requests at a time, or 1',
    ],
  ],
  loadBalancing: [
    [{ loadBalancing: { method: 'Random' } }, 'balanced by random'],
    [
      {
        loadBalancing: {
          method: 'ConsistentHash',
          consistentHash: {
            by: [{ header: 'x-a' }, { cookie: { name: 'c', path: '/p', ttl: '1m' } }],
            maxLoadPercent: 140,
          },
        },
      },
      'of header x-a, then cookie c at /p, set for 1 min; none has more than 140 % of the mean',
    ],
    [{ loadBalancing: { slowStart: '30s' } }, 'new endpoints begin slowly, over 30 s'],
    [{ loadBalancing: { affinity: { cookie: { name: 'k' } } } }, 'by cookie k'],
    [{ loadBalancing: { zones: 'PreferSameZone' } }, 'endpoints of the own zone first'],
  ],
  limits: [
    [{ limits: { maxConnections: 3 } }, 'at most 3 connections'],
    [{ limits: { maxPendingRequests: 4 } }, 'at most 4 requests waiting'],
    [{ limits: { maxActiveRequests: 5 } }, 'at most 5 requests at a time'],
  ],
  outlierDetection: [
    [{ outlierDetection: { consecutive5xx: 9 } }, 'left out after 9 failures in a row'],
    [{ outlierDetection: { consecutiveGatewayErrors: 8 } }, '8 of 502 to 504 in a row'],
    [
      { outlierDetection: { baseEjectionTime: '3s', maxEjectionTime: '9s' } },
      '3 s at first, 9 s at',
    ],
    [{ outlierDetection: { maxEjectionPercent: 20 } }, '20 % at most'],
    [{ outlierDetection: { successRate: {}, interval: '7s' } }, '1.9 standard deviations'],
    [{ outlierDetection: { successRate: {}, interval: '7s' } }, 'compared every 7 s'],
    [{ outlierDetection: { latency: { factorPercent: 250 } } }, '2.5 times the median'],
    [{ outlierDetection: { panicThresholdPercent: 30 } }, 'when fewer than 30 % are left'],
  ],
  tracing: [[{ tracing: { sampling: 5 } }, 'traced: 5 % of the traces']],
  rateLimits: [
    [
      { rateLimits: [{ name: 'all', requests: 6, interval: '1m' }] },
      'rate limit all: 6 requests/min, 6',
    ],
    [{ rateLimits: [{ name: 'a', connections: 9, burst: 20 }] }, '9 connections/s, 20 at once'],
    [
      {
        rateLimits: [
          {
            name: 'b',
            requests: 1,
            port: 80,
            matches: [{ methods: ['PUT'] }],
            per: [{ identity: true }, { header: 'x-k' }],
          },
        ],
      },
      'for each identity and value of header x-k, port 8080, of PUT',
    ],
  ],
  subsets: [
    [
      {
        subsets: [{ name: 'v', labels: { version: '2' } }],
        routes: [{ backends: [{ subset: 'v' }] }],
      },
      'to its endpoints with version=2',
    ],
  ],
  routes: [[{ routes: [{ name: 'r' }] }, 'route r: every request']],
};

const routeFields: Record<string, [route: RouteSpec, words: string][]> = {
  name: [[{ name: 'r' }, 'route r']],
  matches: [
    [{ matches: [{ grpc: { service: 'a.B', method: 'Get' } }] }, 'path /a.B/Get'],
    [{ matches: [{ queryParams: [{ name: 'q', exact: '1' }] }] }, 'query q = 1'],
  ],
  backends: [[{ backends: [{ service: 'next' }, {}] }, '50 % to shop/next:80']],
  timeout: [[{ timeout: '3s' }, 'at most 3 s']],
  idleTimeout: [[{ idleTimeout: '3s' }, 'idle at most 3 s']],
  retries: [[{ retries }, '2 retries']],
  requestHeaders: [
    [{ requestHeaders: { set: [{ name: 'x-a', value: '1' }] } }, 'sets request headers x-a: 1'],
    [{ requestHeaders: { add: [{ name: 'x-b', value: '2' }] } }, 'adds request headers x-b: 2'],
  ],
  responseHeaders: [
    [{ responseHeaders: { remove: ['server'] } }, 'removes response headers server'],
  ],
  rewrite: [
    [
      { rewrite: { path: { full: '/n' }, host: 'h.example' } },
      'path becomes /n → host becomes h.ex',
    ],
  ],
  redirect: [[{ redirect: { host: 'h.example' } }, 'redirected with 302 to h.example<path>']],
  directResponse: [
    [{ directResponse: { status: 418, body: 'tea' } }, 'with 418, 3 bytes of text/plain'],
  ],
  mirrors: [[{ mirrors: [{ service: 'next', percent: 7 }] }, '7 % copied to shop/next:80']],
  fault: [
    [{ fault: { delay: { duration: '2s', percent: 3 } } }, '3 % held back for 2 s'],
    [
      { fault: { abort: { status: 503, grpcCode: 14, percent: 4 } } },
      '4 % answered 503 or gRPC 14',
    ],
  ],
  cors: [
    [
      {
        cors: {
          allowOrigins: ['https://a.example'],
          allowMethods: ['PUT'],
          allowHeaders: ['x-a'],
          exposeHeaders: ['x-b'],
          allowCredentials: true,
          maxAge: '1m',
        },
      },
      'CORS for https://a.example; with PUT; headers x-a; showing x-b; with credentials; kept for 1 min',
    ],
  ],
};

const specPath = ['properties', 'spec', 'properties'] as const;

describe('describe service', () => {
  it('knows every field of a TrafficPolicy and of its routes', () => {
    const told = [...Object.keys(fields), 'service'].toSorted();
    expect(schemaFields('TrafficPolicy', ...specPath)).toEqual(told);
    const ofRoutes = schemaFields('TrafficPolicy', ...specPath, 'routes', 'items', 'properties');
    expect(ofRoutes).toEqual(Object.keys(routeFields).toSorted());
  });

  it.each(Object.values(fields).flat())('tells of %j: %s', (spec, words) => {
    expect(policyText({})).not.toContain(words);
    expect(policyText(spec)).toContain(words);
  });

  it.each(Object.values(routeFields).flat())('tells of the route %j: %s', (route, words) => {
    expect(policyText({ routes: [route] })).toContain(words);
  });

  it.each<[MeshSpec, string]>([
    [{ accessLog: 'none' }, 'Access log none (Mesh default)'],
    [{ accessLog: 'all', accessLogSampling: 10 }, 'what failed, and 10 % of the rest, as json'],
    [{ accessLogFormat: 'text' }, 'what failed, as text (Mesh default)'],
    [{ outboundPolicy: 'RegistryOnly' }, 'RegistryOnly: what the cluster does not know is refused'],
    [{ mtls: { mode: 'STRICT' } }, 'refused while the operator is away'],
    [
      { tracing: { endpoint: 'http://o.tel:4317', sampling: 2 } },
      '2 % of the traces that begin here',
    ],
    [{ authorization: { ambiguousPaths: 'Refuse' } }, 'Paths paths that apps may read in several'],
    [
      { defaults: { timeout: '9s' } },
      'Mesh default: every request → to its own endpoints → at most 9 s',
    ],
  ])('tells of the Mesh %j: %s', (spec, words) => {
    // How paths are read matters where there are rules.
    const AuthorizationPolicy = [authorizationPolicy('shop/a', { action: 'DENY', rules: [] })];
    const text = textOf({ Mesh: [mesh(spec)], AuthorizationPolicy });
    expect(text.replaceAll(/ +/g, ' ')).toContain(words);
  });

  it('tells the rules of AuthorizationPolicies, and who is left out by them', () => {
    const rules = [
      {
        name: 'readers',
        from: [
          { serviceAccounts: ['web'], notIpBlocks: ['10.9.0.0/16'] },
          { notIdentities: ['cluster.local/ns/a/sa/b'], namespaces: ['ops'] },
        ],
        to: [
          { methods: ['GET', 'HEAD'], paths: [{ prefix: '/items' }, { template: '/{*}/x' }] },
          { ports: [8080], notHosts: ['a.example'], notPaths: [{ suffix: '.js' }, { exact: '/' }] },
        ],
        when: [{ key: 'source.ip', values: ['10.0.0.0/8'], notValues: ['10.1.0.0/16'] }],
      },
    ];
    const policy = authorizationPolicy('shop/cart', { rules });
    const condition = { observedGeneration: 1, lastTransitionTime: '' };
    policy.status = {
      conditions: [
        {
          type: 'DryRun',
          status: 'False',
          reason: 'Enforced',
          message: 'is enforced',
          ...condition,
        },
      ],
    };
    const text = textOf({
      AuthorizationPolicy: [
        policy,
        authorizationPolicy('shop/no', { action: 'DENY', rules: [{}] }),
      ],
      PeerAuthentication: [
        peerAuthentication('shop/cart', {
          selector: { matchLabels: { app: 'cart' } },
          portLevelMtls: { 8080: { mode: 'STRICT' } },
        }),
      ],
    });
    for (const words of [
      'whom an ALLOW rule matches, but whom a DENY rule matches; all others are refused',
      'PeerAuthentication shop/cart: mTLS UNSET; STRICT at 8080; for pods with app=cart',
      'AuthorizationPolicy shop/no: DENY, 1 rule - rule 0: anyone → anything',
      'readers: service account shop/web, not address 10.9.0.0/16; or not identity cluster.local/ns/a/sa/b, namespace ops → GET or HEAD,',
      'GET or HEAD, path /items… or /{*}/x; or not path ….js or /, not host a.example, port 8080;',
      'when source.ip is 10.0.0.0/8, and source.ip is not 10.1.0.0/16',
    ])
      expect(text).toContain(words);
    expect(text).not.toContain('!');
  });
});
