// The operator's own certificate: there, named, renewed, and kept when the CA cannot issue.

import { describe, expect, it } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { createRoot, loadAuthority } from './authority.ts';
import { createOperatorIdentity } from './operator-identity.ts';
import type { CertificateAuthority } from './types.ts';

const hour = 3_600_000;
const now = Date.UTC(2026, 10, 22, 12);

function authority(): CertificateAuthority {
  const loaded = loadAuthority(createRoot('cluster.local', 9999 * hour, now), now);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return loaded.authority;
}

function world() {
  const state = { authority: null as CertificateAuthority | null };
  const identity = createOperatorIdentity({
    ca: {
      current: () => state.authority,
      condition: () => ({ status: 'True', reason: '', message: '' }),
    },
    getMesh: () => null,
  });
  const serials: string[] = [];
  const stop = identity.onChange((material) => serials.push(material.serial));
  return { state, identity, serials, stop };
}

describe("the operator's own certificate", () => {
  it('is absent until the CA issues', () => {
    const { identity, state } = world();
    identity.renewIfDue(now);
    expect(identity.current()).toBeNull();
    state.authority = authority();
    identity.renewIfDue(now);
    expect(identity.current()).not.toBeNull();
  });

  it('names the Service for the API server and the identity for sidecars', () => {
    const { identity, state } = world();
    state.authority = authority();
    identity.renewIfDue(now);
    const leaf = new X509Certificate(identity.current()!.chainPem);
    expect(leaf.checkHost('tsmesh-operator.tsmesh-system.svc')).toBeDefined();
    expect(leaf.checkHost('tsmesh-operator.tsmesh-system.svc.cluster.local')).toBeDefined();
    expect(leaf.subjectAltName).toContain(
      'URI:spiffe://cluster.local/ns/tsmesh-system/sa/tsmesh-operator',
    );
  });

  it('is renewed at two thirds of its life, and listeners hear of it', () => {
    const { identity, state, serials } = world();
    state.authority = authority();
    for (const h of [0, 1, 15, 17]) identity.renewIfDue(now + h * hour);
    expect(serials).toHaveLength(2);
    expect(identity.current()!.serial).toBe(serials[1]);
  });

  it('changes with the CA', () => {
    const { identity, state, serials, stop } = world();
    for (let i = 0; i < 2; i++) {
      state.authority = authority();
      identity.renewIfDue(now);
    }
    expect(serials).toHaveLength(2);
    stop();
    state.authority = authority();
    identity.renewIfDue(now);
    expect(serials).toHaveLength(2);
  });

  it('outlives a CA that cannot issue any more', () => {
    const { identity, state } = world();
    state.authority = authority();
    identity.renewIfDue(now);
    state.authority = null;
    identity.renewIfDue(now + 20 * hour);
    expect(identity.current()).not.toBeNull();
  });
});
