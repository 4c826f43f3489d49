import { describe, expect, it } from '@jest/globals';
import { noTraffic, packTraffic } from '../../proxy/api/statistics.ts';
import { maxSubscriptions, parseUpMessage } from './messages.ts';

const counters = { ...noTraffic(), requests: 1, grpcRequests: 1, mtlsRequests: 1 };
/** As sidecars told it before they told of roots. */
const certificate = { serial: 'AB', notAfterMs: 2 };
const ofRoots = { notBeforeMs: 1, underRoot: 'CD', trustedRoots: ['CD', 'EF'] };
const statistics = {
  startedAtMs: 1,
  inbound: counters,
  outbound: counters,
  certificate,
};
const packed = packTraffic({ ...counters, latency: counters.latency.with(3, 7) });
const caller = { identity: 'spiffe://a', address: '10.0.0.1', ...packed, grpc: 1 };
const destination = { name: 'cart.shop:80', ...packed };
const hello = {
  pod: { namespace: 'shop', name: 'web', uid: 'u', ips: ['10.0.0.1'] },
  proxyVersion: '1',
  held: { 'Workload/self': 'v' },
  subscribe: ['10.96.0.7:80'],
};

describe('a message of a sidecar', () => {
  it.each([
    [{ hello }],
    [{ subscribe: ['[fd00::1]:80'] }],
    [{ unsubscribe: [] }],
    [{ ack: { nonce: '1', errors: [{ key: 'Workload/self', path: '/x', message: 'no' }] } }],
    [{ statistics }],
    [{ statistics: { ...statistics, certificate: null } }],
    [{ statistics: { ...statistics, callers: [caller], destinations: [destination] } }],
    [{ statistics: { ...statistics, certificate: { ...certificate, ...ofRoots } } }],
    [{ draining: true }],
  ])('is taken as it is: %j', (message) => {
    expect(parseUpMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each([
    ['message', []],
    ['message', {}],
    ['hello.pod', { hello: {} }],
    ['hello.pod.uid', { hello: { ...hello, pod: { ...hello.pod, uid: 7 } } }],
    ['hello.pod.ips', { hello: { ...hello, pod: { ...hello.pod, ips: '10.0.0.1' } } }],
    ['hello.pod.name', { hello: { ...hello, pod: { ...hello.pod, name: 'x'.repeat(2000) } } }],
    ['key', { hello: { ...hello, held: { 'Secret/x': 'v' } } }],
    ['subscribe', { subscribe: ['cart:80'] }],
    ['subscribe', { subscribe: Array.from({ length: maxSubscriptions + 1 }, () => '1.2.3.4:5') }],
    ['ack.nonce', { ack: { errors: [] } }],
    ['ack.errors.message', { ack: { nonce: '1', errors: [{ key: 'Workload/self', path: '' }] } }],
    ['statistics.startedAtMs', { statistics: { ...statistics, startedAtMs: -1 } }],
    ['statistics.startedAtMs', { statistics: { ...statistics, startedAtMs: 8.65e15 } }],
    [
      'statistics.certificate.notAfterMs',
      { statistics: { ...statistics, certificate: { serial: 'AB', notAfterMs: 1e300 } } },
    ],
    [
      'statistics.inbound.requests',
      { statistics: { ...statistics, inbound: { ...counters, requests: 1e13 } } },
    ],
    [
      'statistics.inbound.latency',
      { statistics: { ...statistics, inbound: { ...counters, latency: 1 } } },
    ],
    [
      'statistics.callers.counters',
      { statistics: { ...statistics, callers: [{ identity: '', address: '', counters: [1, 2] }] } },
    ],
    [
      'statistics.callers',
      { statistics: { ...statistics, callers: Array.from({ length: 257 }, () => ({})) } },
    ],
    ['statistics.destinations.name', { statistics: { ...statistics, destinations: [packed] } }],
    [
      'statistics.certificate.trustedRoots',
      { statistics: { ...statistics, certificate: { ...certificate, trustedRoots: 'CD' } } },
    ],
    [
      'statistics.certificate.trustedRoots',
      {
        statistics: {
          ...statistics,
          certificate: { ...certificate, trustedRoots: Array.from({ length: 21 }, () => 'CD') },
        },
      },
    ],
    [
      'statistics.outbound.denied',
      { statistics: { ...statistics, outbound: { ...counters, denied: null } } },
    ],
  ])('is refused with the path %s', (path, message) => {
    expect(() => parseUpMessage(JSON.stringify(message))).toThrow(path);
  });

  it('of another version with other buckets is taken, without times', () => {
    const inbound = { ...counters, latency: [1] };
    const text = JSON.stringify({ statistics: { ...statistics, inbound } });
    expect(parseUpMessage(text).statistics!.inbound).toEqual(counters);
  });

  it('has too many held resources', () => {
    const held = Object.fromEntries(
      Array.from({ length: 4 * maxSubscriptions + 1 }, (_, i) => [`Endpoints/${i}`, 'v']),
    );
    const text = JSON.stringify({ hello: { ...hello, held } });
    expect(() => parseUpMessage(text)).toThrow('hello.held');
  });

  it('is clipped where it is words for people', () => {
    const errors = [{ key: 'Workload/self', path: '', message: 'x'.repeat(5000) }];
    const parsed = parseUpMessage(JSON.stringify({ ack: { nonce: '1', errors } }));
    expect(parsed.ack!.errors[0]!.message).toHaveLength(1024);
  });
});
