// What an app is told of a target's form; what refuses a request is in two-sidecars-authorization.

import { describe, expect, it } from '@jest/globals';
import { alpn } from '../api/constants.ts';
import type { InboundPort } from '../api/resources.ts';
import { formatSpiffeId } from '../api/spiffe.ts';
import type { Fields, RequestHead } from '../codec/session.ts';
import type { PeerFacts } from '../net/link.ts';
import { planInbound, type InboundFacts } from './plan.ts';

const port: InboundPort = { protocol: 'http1', mtls: 'STRICT', decidedBy: 'Mesh default' };
const peer: PeerFacts = {
  id: formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'web', serviceAccount: 'front' }),
  notAfterMs: 0,
  certificateHash: '',
  generation: 1,
  alpn: alpn.http,
};
const facts: InboundFacts = { peer, http2: null, clientCert: '', app: [] };

function headOf(authority: string, fields: Fields): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority,
    path: '/evil/admin',
    upgrade: null,
    fields,
    contentLength: null,
  };
}

const absolute = () => ['tsmesh-target-form', 'absolute'];

describe('a target that came in absolute-form', () => {
  it('goes on so where a sidecar says it', () => {
    const plan = planInbound(facts, port, headOf('cart', absolute()), () => 'id');
    expect(plan).toMatchObject({ type: 'forward', head: { absoluteForm: true } });
  });

  it('goes on in origin-form without a host: `http:///evil/admin` is `/admin` at `evil` to some', () => {
    const head = headOf('', absolute());
    expect(planInbound(facts, port, head, () => 'id').type).toBe('forward');
    expect(head.absoluteForm).toBeUndefined();
  });

  it('goes on in origin-form where a stranger claims it', () => {
    const head = headOf('cart', absolute());
    planInbound(
      { ...facts, peer: null, http2: true },
      { ...port, mtls: 'PERMISSIVE' },
      head,
      () => 'id',
    );
    expect(head.absoluteForm).toBeUndefined();
  });
});
