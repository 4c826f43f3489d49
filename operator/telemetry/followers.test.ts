// Who has to follow when roots change, and whose certificate is about to end.

import { describe, expect, it } from '@jest/globals';
import { noTraffic, type CertificateFacts } from '../../proxy/api/statistics.ts';
import type { StreamState } from '../discovery/stream-state.ts';
import { pod, viewOf } from '../model/test-objects.ts';
import { expiringCertificates } from './expiring.ts';
import { followersOf } from './followers.ts';

const counters = noTraffic();
const trust = { underRoot: 'AB', trustedRoots: ['AB', 'CD'] };

function stream(name: string, certificate: CertificateFacts | null): StreamState {
  const [namespace = '', podName = ''] = name.split('/');
  return {
    pod: { namespace, name: podName, uid: `uid-pod-${namespace}-${podName}` },
    replica: 'operator-1',
    connectedAtMs: 0,
    proxyVersion: '1',
    draining: false,
    subscriptions: [],
    resources: [],
    statistics: { startedAtMs: 1, inbound: counters, outbound: counters, certificate },
    statisticsAtMs: 0,
  };
}

const operator = { serviceAccount: 'tsmesh-operator', meshed: false };

describe('who has to follow when roots change', () => {
  it('is each sidecar of a living pod, as it is connected and what it trusts', () => {
    const view = viewOf({
      Pod: [
        pod('shop/told'),
        pod('shop/silent'),
        pod('shop/away'),
        pod('shop/starting', { ready: false }),
        pod('shop/going', { deleted: true }),
        pod('shop/going-on', { deleted: true }),
        pod('shop/done', { phase: 'Succeeded' }),
        pod('shop/bare', { meshed: false }),
      ],
    });
    const facts = { serial: '1', notAfterMs: 2 };
    const streams = [
      stream('shop/told', { ...facts, ...trust }),
      stream('shop/silent', facts),
      stream('shop/going-on', { ...facts, ...trust }),
    ];
    const self = { name: 'operator-1', trust };
    expect(followersOf({ view, streams, self, replicas: new Map() })).toEqual([
      { name: 'operator operator-1', state: 'connected', trust },
      { name: 'pod shop/told', state: 'connected', trust },
      { name: 'pod shop/silent', state: 'connected', trust: null },
      { name: 'pod shop/away', state: 'disconnected', trust: null },
      { name: 'pod shop/starting', state: 'starting', trust: null },
      { name: 'pod shop/going-on', state: 'connected', trust },
    ]);
  });

  it('is each replica of the operator: those that relay, those that are away, and this one once', () => {
    const view = viewOf({
      Pod: [
        pod('tsmesh-system/operator-1', operator),
        pod('tsmesh-system/operator-2', operator),
        pod('tsmesh-system/operator-3', operator),
      ],
    });
    const self = { name: 'operator-1', trust };
    const replicas = new Map([['operator-2', trust]]);
    expect(followersOf({ view, streams: [], self, replicas })).toEqual([
      { name: 'operator operator-1', state: 'connected', trust },
      { name: 'operator operator-2', state: 'connected', trust },
      { name: 'operator operator-3', state: 'disconnected', trust: null },
    ]);
  });
});

describe('a certificate that is about to end', () => {
  it('is one in the last tenth of its life or beyond, of a living pod; the first to end comes first', () => {
    const names: `${string}/${string}`[] = ['shop/a', 'shop/b', 'shop/c', 'shop/old'];
    const view = viewOf({
      Pod: [...names.map((name) => pod(name)), pod('shop/going', { deleted: true })],
    });
    const ends = (notAfterMs: number) => ({ serial: '1', notBeforeMs: 0, notAfterMs });
    const streams = [
      stream('shop/a', ends(1000)),
      stream('shop/b', ends(900)),
      stream('shop/c', ends(10_000)),
      stream('shop/old', { serial: '1', notAfterMs: 1000 }),
      stream('shop/going', ends(1000)),
    ];
    expect(expiringCertificates(view, streams, 899)).toEqual([{ pod: 'shop/b', notAfterMs: 900 }]);
    expect(expiringCertificates(view, streams, 2000).map((one) => one.pod)).toEqual([
      'shop/b',
      'shop/a',
    ]);
  });
});
