// The CA: what it issues is accepted by TLS, and what it is given is checked.

import { describe, expect, it } from '@jest/globals';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { createRoot, loadAuthority, type CaPem } from './authority.ts';
import type { CertificateAuthority, TlsMaterial } from './types.ts';
import { buildCertificate, issuerFromCertificate } from './x509.ts';

const hour = 3_600_000;
const now = Date.UTC(2026, 10, 22, 12, 0, 0, 250);
const id = 'spiffe://cluster.local/ns/shop/sa/cart';

function authorityOf(pem: CaPem, at = now): CertificateAuthority {
  const loaded = loadAuthority(pem, at);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return loaded.authority;
}

function problemOf(pem: CaPem, at = now): string {
  const loaded = loadAuthority(pem, at);
  return loaded.ok ? 'none' : loaded.problem.reason;
}

function issue(authority: CertificateAuthority, lifetimeMs = 24 * hour): TlsMaterial {
  return authority.issue({ uris: [id], dnsNames: ['a.example'], lifetimeMs }, now);
}

/** A CA below `root`, as a company would bring along. */
function intermediateOf(root: CaPem, curve = 'prime256v1'): CaPem {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const key = createPrivateKey(root.keyPem);
  const issuer = issuerFromCertificate(new X509Certificate(root.chainPem).raw, key);
  const { pem } = buildCertificate(
    {
      role: 'authority',
      subject: { organization: 'Company', commonName: 'Mesh CA' },
      publicKey,
      notBeforeMs: now - hour,
      notAfterMs: now + 1000 * hour,
      uris: [],
      dnsNames: [],
    },
    issuer,
  );
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { chainPem: pem, keyPem, rootsPem: root.rootsPem };
}

/** Both sides ask for and check the other's certificate; resolves with what the server saw. */
async function handshake(server: TlsMaterial, client: TlsMaterial): Promise<string> {
  const options = (m: TlsMaterial) => ({ cert: m.chainPem, key: m.keyPem, ca: m.rootsPem });
  const listener = createServer({
    ...options(server),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  });
  const accepted = new Promise<string>((resolve, reject) => {
    listener.on('tlsClientError', reject);
    listener.on('secureConnection', (socket: TLSSocket) => {
      resolve(socket.getPeerCertificate().subjectaltname ?? '');
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const checkServerIdentity = () => undefined;
  const socket = connect({ port, host: '127.0.0.1', ...options(client), checkServerIdentity });
  const failed = new Promise<never>((_, reject) => socket.on('error', reject));
  try {
    return await Promise.race([accepted, failed]);
  } finally {
    // Whoever lost the race may fail later; nobody listens any more.
    accepted.catch(() => undefined);
    failed.catch(() => undefined);
    socket.destroy();
    listener.close();
  }
}

// TLS checks certificates against the machine's time.
const today = Date.now();

describe('what a CA issues', () => {
  it('passes mutual TLS 1.3 as client and as server', async () => {
    const authority = authorityOf(createRoot('cluster.local', 24 * hour, today), today);
    const request = { uris: [id], dnsNames: [], lifetimeMs: hour };
    const [a, b] = [authority.issue(request, today), authority.issue(request, today)];
    await expect(handshake(a, b)).resolves.toBe(`URI:${id}`);
  });

  it('is refused by a peer that trusts another root', async () => {
    const request = { uris: [id], dnsNames: [], lifetimeMs: hour };
    const [ours, theirs] = [0, 1].map(() =>
      authorityOf(createRoot('cluster.local', 24 * hour, today), today).issue(request, today),
    );
    await expect(handshake(ours!, theirs!)).rejects.toMatchObject({ code: expect.anything() });
  });

  it('names identity and hosts, and is for client and server, not for issuing', () => {
    const leaf = new X509Certificate(issue(authorityOf(createRoot('a', hour, now))).chainPem);
    expect(leaf.subjectAltName).toBe(`URI:${id}, DNS:a.example`);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(leaf.ca).toBe(false);
  });

  it('begins five minutes before and lives as long as asked', () => {
    const authority = authorityOf(createRoot('a', 100 * hour, now));
    const material = issue(authority, 24 * hour);
    const leaf = new X509Certificate(material.chainPem);
    expect(leaf.validFromDate.toISOString()).toBe('2026-11-22T11:55:00.000Z');
    expect(leaf.validToDate.toISOString()).toBe('2026-11-23T12:00:00.000Z');
    expect(leaf.validFromDate.getTime()).toBe(material.notBeforeMs);
    expect(leaf.validToDate.getTime()).toBe(material.notAfterMs);
  });

  it('lives 15 minutes at least, and never longer than the CA', () => {
    const authority = authorityOf(createRoot('a', hour, now));
    expect(issue(authority, 1000).notAfterMs).toBe(Math.floor(now / 1000) * 1000 + hour / 4);
    expect(issue(authority, 24 * hour).notAfterMs).toBe(authority.notAfterMs);
  });

  it('has a serial number of 128 bits that never repeats and is the one reported', () => {
    const authority = authorityOf(createRoot('a', hour, now));
    const serials = Array.from({ length: 300 }, () => {
      const material = issue(authority);
      expect(new X509Certificate(material.chainPem).serialNumber).toBe(material.serial);
      return material.serial;
    });
    expect(new Set(serials).size).toBe(300);
    expect(new Set(serials.map((serial) => serial.length))).toEqual(new Set([32]));
  });

  it('fits its key and its issuer for any key', () => {
    const authority = authorityOf(createRoot('a', hour, now));
    const root = new X509Certificate(authority.certificatePem);
    for (let i = 0; i < 300; i++) {
      const material = issue(authority);
      const leaf = new X509Certificate(material.chainPem);
      expect(leaf.checkPrivateKey(createPrivateKey(material.keyPem))).toBe(true);
      expect(leaf.checkIssued(root)).toBe(true);
      expect(authority.issued(material.chainPem)).toBe(true);
    }
  });

  it('is for the trust domain that the CA was made for, as far as the CA says', () => {
    const root = createRoot('corp.example', 9999 * hour, now);
    expect(authorityOf(root).trustDomain).toBe('corp.example');
    expect(authorityOf(intermediateOf(root)).trustDomain).toBeNull();
  });

  it('carries the certificates between itself and the root', () => {
    const authority = authorityOf(intermediateOf(createRoot('a', 9999 * hour, now)));
    const chain = issue(authority).chainPem.match(/BEGIN/g);
    expect(chain).toHaveLength(2);
  });

  it('ends after 2049 where it has to', () => {
    const root = createRoot('a', 30 * 8766 * hour, now);
    expect(new X509Certificate(root.chainPem).validToDate.getUTCFullYear()).toBe(2056);
    expect(problemOf(root)).toBe('none');
  });
});

describe('a CA is not used when', () => {
  const root = createRoot('a', hour, now);
  const other = createRoot('a', hour, now);

  it('it has expired', () => expect(problemOf(root, now + hour)).toBe('CAExpired'));
  it('it is not valid yet', () => expect(problemOf(root, now - hour)).toBe('CANotYetValid'));
  it('its key belongs to another certificate', () => {
    expect(problemOf({ ...root, keyPem: other.keyPem })).toBe('CAKeyMismatch');
  });
  it('its certificate may not issue', () => {
    const leaf = issue(authorityOf(root));
    expect(problemOf({ ...leaf, rootsPem: root.rootsPem })).toBe('CANotAnAuthority');
  });
  it('its key is of another kind', () => {
    const keyPem = generateKeyPairSync('ed25519').privateKey.export({
      type: 'pkcs8',
      format: 'pem',
    }) as string;
    expect(problemOf({ ...root, keyPem })).toBe('CAKeyUnsupported');
  });
  it('its key is on another curve, and says which', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const loaded = loadAuthority({ ...root, keyPem }, now);
    expect(loaded).toMatchObject({
      problem: { reason: 'CAKeyUnsupported', message: expect.stringContaining('secp384r1') },
    });
  });
  it.each([
    ['tls.crt', { ...root, chainPem: 'no certificate' }],
    ['tls.crt', { ...root, chainPem: root.chainPem.replace(/\n..../, '\nAAAA') }],
    ['ca.crt', { ...root, rootsPem: '' }],
    ['tls.key', { ...root, keyPem: '-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----' }],
  ])('%s cannot be read', (_, pem) => expect(problemOf(pem)).toBe('CASecretUnreadable'));
  it('no trusted root has issued it', () => {
    expect(problemOf({ ...root, rootsPem: other.rootsPem })).toBe('CARootMissing');
  });
  it('the root above it has expired', () => {
    const below = intermediateOf(root);
    expect(problemOf(below)).toBe('none');
    expect(problemOf(below, now + 2 * hour)).toBe('CARootMissing');
  });
});
