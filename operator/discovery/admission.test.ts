import { describe, expect, it } from '@jest/globals';
import { mesh, pod, viewOf } from '../model/test-objects.ts';
import { admit } from './admission.ts';

const view = viewOf({
  Mesh: [mesh({ trustDomain: 'prod.example' })],
  Pod: [
    pod('shop/web', { ip: '10.0.0.1', serviceAccount: 'web' }),
    pod('shop/bare', { ip: '10.0.0.2', serviceAccount: 'web', meshed: false }),
    pod('shop/new', { serviceAccount: 'web' }),
  ],
});
const identity = { trustDomain: 'prod.example', namespace: 'shop', serviceAccount: 'web' };
const peer = { identity, address: '10.0.0.1' };
const claim = (name: string, uid = `uid-pod-shop-${name}`, ips = ['10.0.0.1']) => ({
  namespace: 'shop',
  name,
  uid,
  ips,
});
const outcome = (...args: Parameters<typeof admit>) => {
  const verdict = admit(...args);
  if (verdict.verdict === 'admit') return 'admit';
  const reason = verdict.verdict === 'wait' ? verdict.otherwise : verdict.refusal;
  return `${verdict.verdict} ${reason.code}`;
};

describe('a peer', () => {
  it('is admitted as the pod that it proves to be', () => {
    expect(outcome(view, peer, claim('web'))).toBe('admit');
  });

  it.each([
    ['trust domain', { ...identity, trustDomain: 'test.example' }, 'wrong-trust-domain'],
    ['namespace', { ...identity, namespace: 'bank' }, 'identity-mismatch'],
    ['service account', { ...identity, serviceAccount: 'other' }, 'identity-mismatch'],
  ])('with a certificate of another %s is refused', (_what, other, code) => {
    expect(outcome(view, { ...peer, identity: other }, claim('web'))).toBe(`refuse ${code}`);
  });

  it('for a pod without injection is refused', () => {
    expect(outcome(view, peer, claim('bare'))).toBe('refuse not-meshed');
  });

  it.each([
    ['a pod not known yet', claim('late'), 'pod-unknown'],
    ['an older pod of the same name', claim('web', 'uid-before'), 'pod-unknown'],
    ['a pod without an address yet', claim('new'), 'source-mismatch'],
    [
      'an address that the pod does not have',
      claim('web', undefined, ['10.9.9.9']),
      'source-mismatch',
    ],
  ])('for %s has to wait', (_what, claimed, code) => {
    expect(outcome(view, peer, claimed)).toBe(`wait ${code}`);
  });

  it('from another source than the pod has to wait', () => {
    const elsewhere = { ...peer, address: '10.0.0.9' };
    expect(outcome(view, elsewhere, claim('web'))).toBe('wait source-mismatch');
  });
});
