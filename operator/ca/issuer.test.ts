// The CA from an issuer of cert-manager: when it is asked, and what becomes of each answer.

import { createPublicKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { Mesh } from '../resources/tsmesh.ts';
import { createKeyPair, createRoot, loadAuthority, privateKeyPem } from './authority.ts';
import { contentWith, type CaContent } from './ca-content.ts';
import { issuerOf } from './issuer-reference.ts';
import {
  decideIssuer,
  requestedDuration,
  type CertificateRequest,
  type IssuerFacts,
} from './issuer.ts';
import { encode, readPrivateKey } from './pem.ts';
import { rotateRootAnnotation } from './types.ts';
import { buildCertificate, buildSigningRequest, issuerFromCertificate, readDer } from './x509.ts';

const day = 86_400_000;
const start = Date.UTC(2026, 10, 22, 12);
const wanted = 'cert-manager.io/ClusterIssuer/corporate';
const mesh: Mesh = {
  metadata: { name: 'default' },
  spec: { certificates: { issuer: { name: 'corporate', kind: 'ClusterIssuer' } } },
};
const corporate = createRoot('corporate', 1000 * day, start);

/** As the issuer signs: an authority under its own root. */
function signed(
  keyPem: string,
  trustDomain = 'cluster.local',
  role: 'authority' | 'leaf' = 'authority',
) {
  const root = new X509Certificate(corporate.chainPem);
  const parts = {
    role,
    subject: { organization: 'tsmesh', commonName: 'tsmesh issuing CA' },
    publicKey: createPublicKey(readPrivateKey(keyPem)!),
    notBeforeMs: start,
    notAfterMs: start + 90 * day,
    uris: [`spiffe://${trustDomain}`],
    dnsNames: [],
  };
  return buildCertificate(parts, issuerFromCertificate(root.raw, readPrivateKey(corporate.keyPem)!))
    .pem;
}

const key = privateKeyPem(createKeyPair().privateKey);

function requestWith(status: CertificateRequest['status']): CertificateRequest {
  return {
    metadata: { name: 'tsmesh-ca-1', namespace: 'tsmesh-system' },
    spec: { request: '', issuerRef: issuerOf(mesh)!, isCA: true, duration: '2160h', usages: [] },
    ...(status && { status }),
  };
}

function facts(content: Partial<CaContent>, more: Partial<IssuerFacts> = {}): IssuerFacts {
  const whole = { ...contentWith(createRoot('cluster.local', 1000 * day, start)), ...content };
  const loaded = loadAuthority(whole.pem, start);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  const { authority } = loaded;
  return {
    content: whole,
    authority,
    mesh,
    issuer: issuerOf(mesh)!,
    request: null,
    rootsPem: null,
    ...more,
  };
}

function ready(certificate: string, ca = corporate.chainPem): CertificateRequest {
  return requestWith({
    conditions: [
      { type: 'Approved', status: 'True' },
      { type: 'Ready', status: 'True', lastTransitionTime: new Date(start).toISOString() },
    ],
    certificate: encode(certificate),
    ca: encode(ca),
  });
}

describe('an issuer that the Mesh names', () => {
  it('is asked with a key that is kept before, and once for each key', () => {
    expect(decideIssuer(facts({}), start)).toEqual({ action: 'prepare' });
    expect(decideIssuer(facts({ requestKeyPem: key }), start)).toEqual({ action: 'ask' });
  });

  it('is not asked while roots rotate, nor while what it issued is good', () => {
    const rotation = {
      step: 'Issue' as const,
      cause: '',
      startedAtMs: start,
      sinceMs: start,
      oldRoots: [],
      newRoots: [],
      issuedBy: wanted,
    };
    expect(decideIssuer(facts({ rotation }), start)).toEqual({ action: 'none' });
    expect(decideIssuer(facts({ issuedBy: wanted }), start)).toEqual({ action: 'none' });
  });

  it('is asked again when two thirds of the life are over, when another is named, and on demand', () => {
    const held = { issuedBy: wanted };
    expect(decideIssuer(facts(held), start + 660 * day).action).toBe('none');
    expect(decideIssuer(facts(held), start + 670 * day).action).toBe('prepare');
    expect(decideIssuer(facts({ issuedBy: 'cert-manager.io/Issuer/other' }), start).action).toBe(
      'prepare',
    );
    const annotations = { [rotateRootAnnotation]: new Date(start + day).toISOString() };
    const asking = { ...mesh, metadata: { name: 'default', annotations } };
    expect(decideIssuer(facts(held, { mesh: asking }), start + 2 * day).action).toBe('prepare');
  });

  it('gives a CA that takes the place of the one before', () => {
    const chain = signed(key);
    const decision = decideIssuer(facts({ requestKeyPem: key }, { request: ready(chain) }), start);
    expect(decision).toMatchObject({
      action: 'adopt',
      pem: { chainPem: chain, keyPem: key, rootsPem: corporate.chainPem },
      cause: `Mesh default names the issuer ${wanted}`,
    });
  });

  it('need not know its root where a ConfigMap does', () => {
    const request = ready(signed(key), '');
    const rootsPem = corporate.chainPem;
    const content = { requestKeyPem: key };
    expect(decideIssuer(facts(content, { request, rootsPem }), start).action).toBe('adopt');
    expect(decideIssuer(facts(content, { request }), start)).toMatchObject({
      problem: { reason: 'IssuerRefused', message: expect.stringContaining('CASecretUnreadable') },
    });
  });

  const otherKey = privateKeyPem(createKeyPair().privateKey);
  it.each([
    ['is for another key', signed(otherKey), 'CAKeyMismatch'],
    ['is no authority', signed(key, 'cluster.local', 'leaf'), 'CANotAnAuthority'],
    ['is for another trust domain', signed(key, 'other.example'), 'CATrustDomain'],
    ['is nonsense', 'nonsense', 'CASecretUnreadable'],
  ])('is refused what %s: the CA in force goes on', (_, chain, reason) => {
    const decision = decideIssuer(facts({ requestKeyPem: key }, { request: ready(chain) }), start);
    expect(decision).toMatchObject({ action: 'wait', problem: { reason: 'IssuerRefused' } });
    const { problem } = decision as { problem: { message: string } };
    expect(problem.message).toContain(reason);
    expect(problem.message).toMatch(/the CA in force goes on until \d{4}-/);
  });

  it.each([
    ['waits for approval', [], 'IssuerPending', /waits for approval/],
    [
      'is approved and not signed',
      [
        { type: 'Approved', status: 'True' },
        {
          type: 'Ready',
          status: 'False',
          reason: 'Pending',
          message: 'Referenced secret not found',
        },
      ],
      'IssuerPending',
      /Referenced secret not found/,
    ],
    [
      'was denied',
      [{ type: 'Denied', status: 'True', message: 'no CAs here' }],
      'IssuerDenied',
      /no CAs here/,
    ],
    [
      'failed',
      [{ type: 'Ready', status: 'False', reason: 'Failed', message: 'out of ink' }],
      'IssuerFailed',
      /out of ink/,
    ],
  ])('whose request %s is reported so', (_, conditions, reason, words) => {
    const lastTransitionTime = new Date(start).toISOString();
    const request = requestWith({
      conditions: conditions.map((one) => ({ ...one, lastTransitionTime })),
    });
    const decision = decideIssuer(facts({ requestKeyPem: key }, { request }), start + 1000);
    expect(decision).toMatchObject({ action: 'wait', problem: { reason } });
    expect((decision as { problem: { message: string } }).problem.message).toMatch(words);
  });

  it('is asked anew some time after it refused', () => {
    const lastTransitionTime = new Date(start).toISOString();
    const request = requestWith({
      conditions: [{ type: 'Denied', status: 'True', lastTransitionTime }],
    });
    const world = facts({ requestKeyPem: key }, { request });
    expect(decideIssuer(world, start + 9 * 60_000).action).toBe('wait');
    expect(decideIssuer(world, start + 11 * 60_000).action).toBe('forget');
  });

  it('leaves behind no request of another issuer, and no key that is spoilt', () => {
    const request = ready(signed(key));
    request.spec.issuerRef = { ...request.spec.issuerRef, name: 'before' };
    expect(decideIssuer(facts({ requestKeyPem: key }, { request }), start).action).toBe('forget');
    expect(decideIssuer(facts({ requestKeyPem: 'x' }), start).action).toBe('forget');
    const done = { requestKeyPem: key, issuedBy: wanted };
    expect(decideIssuer(facts(done), start).action).toBe('forget');
  });

  it('is asked for some lives of a workload certificate', () => {
    expect(requestedDuration(mesh)).toBe('2160h');
    const spec = { certificates: { workloadLifetime: '1000h' } };
    expect(requestedDuration({ ...mesh, spec })).toBe('4000h');
  });
});

describe('a signing request', () => {
  it('is PKCS#10 with the key, the trust domain as URI and the wish to be an authority', () => {
    const privateKey = readPrivateKey(key)!;
    const subject = { organization: 'tsmesh' };
    const text = buildSigningRequest({ subject, privateKey, uris: ['spiffe://cluster.local'] });
    expect(text).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----\n/);
    const der = Buffer.from(text.replace(/-----[^-]+-----|\n/g, ''), 'base64').toString('latin1');
    const [info, , signature] = readDer(der).children;
    expect(info!.children).toHaveLength(4);
    expect(der).toContain('spiffe://cluster.local');
    expect(signature!.tag).toBe(3);
  });
});
