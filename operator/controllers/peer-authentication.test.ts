import { describe, expect, it } from '@jest/globals';
import { acceptPeerAuthentication } from './peer-authentication.ts';
import { peerAuthenticationOf, podOf, viewOf } from './test-world.ts';

const strict = { mtls: { mode: 'STRICT' } } as const;
const ofCart = { ...strict, selector: { matchLabels: { app: 'cart' } } };
const ofV2 = { ...strict, selector: { matchLabels: { version: 'v2' } } };

describe('acceptance of a PeerAuthentication', () => {
  it('goes to the oldest for a namespace; the other is told which one that is', () => {
    const old = peerAuthenticationOf('old', 9, strict);
    const young = peerAuthenticationOf('young', 1, strict);
    const view = viewOf([
      ['PeerAuthentication', young],
      ['PeerAuthentication', old],
    ]);
    expect(acceptPeerAuthentication(view, old).status).toBe('True');
    expect(acceptPeerAuthentication(view, young)).toMatchObject({
      status: 'False',
      reason: 'Conflicted',
      message: expect.stringContaining('shop/old'),
    });
  });

  it('goes by name between two of the same age', () => {
    const [a, b] = [peerAuthenticationOf('a', 3, strict), peerAuthenticationOf('b', 3, strict)];
    const view = viewOf([
      ['PeerAuthentication', b],
      ['PeerAuthentication', a],
    ]);
    expect(acceptPeerAuthentication(view, a).status).toBe('True');
    expect(acceptPeerAuthentication(view, b).status).toBe('False');
  });

  it('does not set levels against each other: a selector goes before a namespace', () => {
    const all = peerAuthenticationOf('all', 9, strict);
    const cart = peerAuthenticationOf('cart', 1, ofCart);
    const view = viewOf([
      ['PeerAuthentication', all],
      ['PeerAuthentication', cart],
      podOf('cart-1', { app: 'cart' }),
    ]);
    expect(acceptPeerAuthentication(view, all).status).toBe('True');
    expect(acceptPeerAuthentication(view, cart).status).toBe('True');
  });

  it('is partial where an older one selects some of the same pods, which are named', () => {
    const cart = peerAuthenticationOf('cart', 9, ofCart);
    const v2 = peerAuthenticationOf('v2', 1, ofV2);
    const view = viewOf([
      ['PeerAuthentication', cart],
      ['PeerAuthentication', v2],
      podOf('cart-v2', { app: 'cart', version: 'v2' }),
      podOf('quote-v2', { app: 'quote', version: 'v2' }),
    ]);
    expect(acceptPeerAuthentication(view, v2)).toMatchObject({
      status: 'True',
      reason: 'PartlyOverridden',
      message:
        'holds for 1 pod; older PeerAuthentications select the same pods and hold there: shop/cart (cart-v2)',
    });
  });

  it('is refused where older ones hold for all of its pods, however many', () => {
    const cart = peerAuthenticationOf('cart', 9, ofCart);
    const v2 = peerAuthenticationOf('v2', 1, ofV2);
    const pods = ['p1', 'p22', 'p333', 'p4444', 'p55555'];
    const view = viewOf([
      ['PeerAuthentication', cart],
      ['PeerAuthentication', v2],
      ...pods.map((name) => podOf(name, { app: 'cart', version: 'v2' })),
    ]);
    const verdict = acceptPeerAuthentication(view, v2);
    expect(verdict).toMatchObject({ status: 'False', reason: 'Conflicted' });
    expect(verdict.message).toContain('shop/cart (p1, p22, p333 and 2 more)');
  });

  it('is given to one that selects nothing yet', () => {
    const cart = peerAuthenticationOf('cart', 1, ofCart);
    const view = viewOf([['PeerAuthentication', cart]]);
    expect(acceptPeerAuthentication(view, cart)).toMatchObject({
      status: 'True',
      message: 'selects no pod at this time',
    });
  });
});
