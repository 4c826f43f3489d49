// What applies to a Service or a pod, in the words that people read.

import { describe, expect, it } from '@jest/globals';
import {
  authorizationPolicy,
  peerAuthentication,
  pod,
  service,
  slice,
  trafficPolicy,
  viewOf,
  type Objects,
} from '../../model/test-objects.ts';
import { styleOf } from '../style.ts';
import { describePod, describeService } from './describe.ts';
import { podText, serviceText } from './print.ts';
import { matchWords } from './words.ts';

const ports = [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'tcp-line', port: 7000, targetPort: 7000 },
];
const owner = { kind: 'ReplicaSet', name: 'cart-5f7' };
const labels = { app: 'cart', 'pod-template-hash': '5f7' };
const cart: Objects = {
  Service: [service('shop/cart', '10.96.0.7', ports, { selector: { app: 'cart' } })],
  Pod: [
    pod('shop/cart-5f7-1', { ip: '10.1.0.1', labels, owner, serviceAccount: 'cart' }),
    pod('shop/cart-5f7-2', { ip: '10.1.0.2', labels, owner, meshed: false }),
  ],
  EndpointSlice: [
    slice(
      'shop/cart',
      [
        { address: '10.1.0.1', pod: 'cart-5f7-1' },
        { address: '10.1.0.2', pod: 'cart-5f7-2' },
      ],
      [
        { name: 'http', port: 8080 },
        { name: 'tcp-line', port: 7000 },
      ],
    ),
  ],
};

function serviceLines(objects: Objects, name = 'cart'): string[] {
  return serviceText(describeService(viewOf(objects), 'shop', name), styleOf(false));
}

describe('a Service described', () => {
  it('without any policy is short', () => {
    expect(serviceLines(cart)).toEqual([
      'Service shop/cart  10.96.0.7',
      '',
      'Port 80 (http): http1',
      '  default: every request',
      '    → to its own endpoints',
      '  1 endpoint of Deployment shop/cart, by mutual TLS',
      '  1 endpoint of Deployment shop/cart, by plaintext',
      '',
      'Port 7000 (tcp-line): tcp',
      '  every connection',
      '    → to its own endpoints',
      '  1 endpoint of Deployment shop/cart, by mutual TLS',
      '  1 endpoint of Deployment shop/cart, by plaintext',
      '',
      'Deployment shop/cart  1 pod',
      '  Identity    spiffe://cluster.local/ns/shop/sa/cart',
      '  mTLS        PERMISSIVE at every port (Mesh default)',
      '  Callers     no AuthorizationPolicy: everyone whom mTLS lets in',
      '  Access log  what failed, as json (Mesh default)',
      '  Outbound    AllowAny: what the cluster does not know is carried as it is',
      '',
      'Deployment shop/cart  1 pod',
      '  no sidecar: namespace shop is not meshed',
    ]);
  });

  it('says what its policies make of requests, and what is wrong with them', () => {
    const policy = trafficPolicy('shop/cart', {
      service: { name: 'cart', port: 80 },
      timeout: '1500ms',
      subsets: [{ name: 'v2', labels: { version: 'v2' } }],
      outlierDetection: { baseEjectionTime: '1m' },
      loadBalancing: { method: 'RoundRobin' },
      limits: { maxConnections: 7 },
      routes: [
        {
          matches: [{ path: { exact: '/a' }, headers: [{ name: 'X-A', exact: '1' }] }],
          directResponse: { status: 418 },
        },
        { backends: [{ weight: 1 }, { subset: 'v2', weight: 1 }, { service: 'gone', weight: 2 }] },
      ],
    });
    policy.status = {
      conditions: [
        {
          type: 'ResolvedRefs',
          status: 'False',
          reason: 'BackendNotFound',
          message: 'there is no Service shop/gone',
          observedGeneration: 1,
          lastTransitionTime: '',
        },
      ],
    };
    const lines = serviceLines({ ...cart, TrafficPolicy: [policy] });
    const text = lines.join('\n');
    expect(lines.slice(1, 3)).toEqual([
      '  TrafficPolicy shop/cart: port 80',
      '    ! ResolvedRefs, BackendNotFound: there is no Service shop/gone',
    ]);
    for (const words of [
      'TrafficPolicy shop/cart, route 0: path /a, header x-a = 1\n    → answered by the sidecar with 418',
      'TrafficPolicy shop/cart, route 1: every request\n    → 25 % to its own endpoints',
      '    → 25 % to its endpoints with version=v2',
      '    → 50 % answered 500: Service shop/gone does not exist',
      '    → at most 1500 ms',
      '  balanced by round-robin',
      '  at most 7 connections',
      '  endpoints left out after 5 failures in a row, or 5 of 502 to 504 in a row: 1 min at first',
    ])
      expect(text).toContain(words);
    // The other port has nothing of it.
    expect(text).toContain('Port 7000 (tcp-line): tcp\n  every connection');
  });

  it('that is headless speaks of any of its pods', () => {
    const headless = { selector: { app: 'cart' }, clusterIPs: ['None'] };
    const db = service('shop/db', 'None', [{ name: 'http', port: 8080 }], headless);
    const lines = serviceLines({ ...cart, Service: [db] }, 'db');
    expect(lines[0]).toBe('Service shop/db  headless');
    expect(lines).toContain('    → to the pod itself');
  });

  it('that is not there names those that are', () => {
    expect(() => serviceLines(cart, 'card')).toThrow('there is no Service shop/card');
  });
});

describe('a pod described', () => {
  it('says who it is, how it is spoken to and who decides', () => {
    const view = viewOf({
      ...cart,
      PeerAuthentication: [
        peerAuthentication('shop/strict', {
          mtls: { mode: 'STRICT' },
          portLevelMtls: { 7000: { mode: 'PERMISSIVE' } },
        }),
      ],
      AuthorizationPolicy: [authorizationPolicy('shop/readers', { rules: [{}] })],
    });
    const object = pod('shop/cart-5f7-1');
    object.metadata.annotations = { 'tsmesh.dev/log-level': 'debug', other: 'x' };
    const message = 'ipv4 captured with iptables (nft); ipv6 captured with iptables (nft)';
    object.status!.initContainerStatuses = [
      { name: 'tsmesh-init', ready: true, state: { terminated: { exitCode: 0, message } } },
    ];
    const described = describePod(view, ['shop', 'cart-5f7-1'], object);
    expect(podText(described, styleOf(false))).toEqual([
      'Pod shop/cart-5f7-1 of Deployment shop/cart',
      '  Identity    spiffe://cluster.local/ns/shop/sa/cart',
      '  mTLS        PERMISSIVE at 7000 (PeerAuthentication shop/strict); STRICT at 8080, all others',
      '              (PeerAuthentication shop/strict)',
      '  Callers     whom an ALLOW rule matches; all others are refused',
      '  PeerAuthentication shop/strict: mTLS STRICT; PERMISSIVE at 7000; for the namespace',
      '  AuthorizationPolicy shop/readers: ALLOW, 1 rule',
      '    - rule 0: anyone → anything',
      '  Access log  what failed, as json (Mesh default)',
      '  Outbound    AllowAny: what the cluster does not know is carried as it is',
      '  Redirected  by iptables nft',
      '  Annotation  tsmesh.dev/log-level: debug',
      '  Services    cart',
    ]);
  });

  it('that has no sidecar says why', () => {
    const view = viewOf({ Pod: [pod('shop/node', { meshed: false, hostNetwork: true })] });
    expect(podText(describePod(view, ['shop', 'node']), styleOf(false))).toEqual([
      'Pod shop/node',
      "  no sidecar: it uses the node's network",
    ]);
    expect(() => describePod(view, ['shop', 'other'])).toThrow('there is no pod shop/other');
  });
});

describe('matches in words', () => {
  it('say all their parts', () => {
    expect(matchWords([])).toBe('every request');
    expect(
      matchWords([
        {
          path: { prefix: '/' },
          methods: ['GET', 'PUT'],
          headers: [
            { name: 'a', value: { present: false } },
            { name: 'b', value: { prefix: 'x' } },
          ],
          query: [{ name: 'q', value: { regex: '[0-9]' } }],
          source: { labels: { app: 'web' }, namespaces: ['shop'] },
        },
        { path: { regex: '/v[12]' } },
      ]),
    ).toBe(
      'GET or PUT, path /…, header a is not there, header b = x…, query q like [0-9], from pods with app=web, from shop; or path like /v[12]',
    );
  });
});
