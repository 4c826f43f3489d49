// Identity Secrets: made once, kept while good, restored when spoilt, renewed when due.

import { describe, expect, it } from '@jest/globals';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { ApiError } from '../resources/api-client.ts';
import type { Secret } from '../resources/kubernetes.ts';
import type { Mesh } from '../resources/tsmesh.ts';
import {
  createKeyPair,
  createRoot,
  loadAuthority,
  privateKeyPem,
  type CaPem,
} from './authority.ts';
import { renewalTime } from './identity-decision.ts';
import {
  ensureIdentitySecret,
  IdentityError,
  identitySecretName,
  maintainIdentitySecret,
} from './identity-secrets.ts';
import { encode, MemoryApi, MemoryEvents } from './test-api.ts';
import type { CaSource, CertificateAuthority } from './types.ts';
import { renewAnnotation } from './types.ts';
import { buildCertificate, issuerFromCertificate } from './x509.ts';

const hour = 3_600_000;
const now = Date.UTC(2026, 10, 22, 12);
const ref = { namespace: 'shop', serviceAccount: 'cart' };
const name = 'tsmesh-identity-cart';

function authorityOf(pem: CaPem): CertificateAuthority {
  const loaded = loadAuthority(pem, now);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return loaded.authority;
}

function world() {
  const state = {
    authority: authorityOf(
      createRoot('cluster.local', 9999 * hour, now),
    ) as CertificateAuthority | null,
    mesh: { metadata: { name: 'default' }, spec: {} } as Mesh | null,
  };
  const ca: CaSource = {
    current: () => state.authority,
    condition: () => ({ status: 'False', reason: 'CAExpired', message: 'it ended' }),
  };
  const api = new MemoryApi();
  const events = new MemoryEvents();
  const deps = { api, events, ca, getMesh: () => state.mesh };
  const read = async () => (await api.get<Secret>('Secret', 'shop', name))!;
  return { state, api, events, deps, read };
}

function leafOf(secret: Secret): X509Certificate {
  return new X509Certificate(Buffer.from(secret.data!['tls.crt']!, 'base64'));
}

async function change(w: ReturnType<typeof world>, edit: (secret: Secret) => void) {
  const secret = await w.read();
  edit(secret);
  w.api.put('Secret', secret);
}

describe('the name of an identity Secret', () => {
  it('is the service account behind a prefix', () => {
    expect(identitySecretName('cart')).toBe(name);
  });

  it('fits for the longest service account, and two of them do not meet', () => {
    const [a, b] = ['a', 'b'].map((last) => identitySecretName('x.'.repeat(126) + last));
    for (const long of [a!, b!]) {
      expect(long.length).toBeLessThanOrEqual(253);
      expect(long).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
    }
    expect(a).not.toBe(b);
  });
});

/** A CA below `root`. */
function intermediateOf(root: CaPem): CaPem {
  const { publicKey, privateKey } = createKeyPair();
  const { raw } = new X509Certificate(root.chainPem);
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
    issuerFromCertificate(raw, createPrivateKey(root.keyPem)),
  );
  return { chainPem: pem, keyPem: privateKeyPem(privateKey), rootsPem: root.rootsPem };
}

describe('at admission', () => {
  it('roots that the Secret lacks are added before a pod starts with it', async () => {
    const w = world();
    const root = createRoot('cluster.local', 9999 * hour, now);
    w.state.authority = authorityOf(root);
    await ensureIdentitySecret(w.deps, ref, now);
    const rootsPem = root.rootsPem + createRoot('cluster.local', hour, now).rootsPem;
    w.state.authority = authorityOf({ ...root, rootsPem });
    expect(await ensureIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'trust' });
    expect(Buffer.from((await w.read()).data!['ca.crt']!, 'base64').toString()).toBe(rootsPem);
  });

  it('a Secret is made with the identity of the service account', async () => {
    const w = world();
    const outcome = await ensureIdentitySecret(w.deps, ref, now);
    expect(outcome).toMatchObject({ action: 'create', secretName: name });
    const secret = await w.read();
    expect(secret.type).toBe('tsmesh.dev/identity');
    expect(Object.keys(secret.data!).toSorted()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
    expect(leafOf(secret).subjectAltName).toBe('URI:spiffe://cluster.local/ns/shop/sa/cart');
  });

  it('lifetime and trust domain come from Mesh default', async () => {
    const w = world();
    w.state.mesh!.spec = { trustDomain: 'corp.example', certificates: { workloadLifetime: '30m' } };
    await ensureIdentitySecret(w.deps, ref, now);
    const leaf = leafOf(await w.read());
    expect(leaf.subjectAltName).toBe('URI:spiffe://corp.example/ns/shop/sa/cart');
    expect(leaf.validToDate.getTime()).toBe(now + hour / 2);
  });

  it('a Mesh that is gone for a moment changes no identity', async () => {
    const w = world();
    w.state.authority = authorityOf(createRoot('corp.example', 9999 * hour, now));
    w.state.mesh = { metadata: { name: 'default' }, spec: { trustDomain: 'corp.example' } };
    await ensureIdentitySecret(w.deps, ref, now);
    w.state.mesh = null;
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'keep' });
  });

  it('a good Secret is left alone, even when it is due, or nothing can be issued', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    w.state.authority = null;
    await ensureIdentitySecret(w.deps, ref, now + 20 * hour);
    expect(w.api.writes).toBe(1);
  });

  it('of two replicas the first one wins', async () => {
    const w = world();
    await Promise.all([1, 2, 3].map(() => ensureIdentitySecret(w.deps, ref, now)));
    expect(w.api.writes).toBe(1);
  });

  it('is refused with the reason while nothing can be issued', async () => {
    const w = world();
    w.state.authority = null;
    const error = await ensureIdentitySecret(w.deps, ref, now).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(IdentityError);
    expect((error as Error).message).toContain('shop/cart: CAExpired: it ended');
  });

  it("a Secret that is the user's own is neither used nor deleted", async () => {
    const w = world();
    w.api.put('Secret', { metadata: { namespace: 'shop', name }, type: 'Opaque' } as Secret);
    const error = await ensureIdentitySecret(w.deps, ref, now).catch((e: unknown) => e);
    expect((error as Error).message).toContain('kubectl -n shop delete secret');
    expect((await w.read()).type).toBe('Opaque');
    expect(w.events.reasons()).toEqual(['IdentityBlocked']);
  });

  it('a missing right reaches the caller', async () => {
    const w = world();
    w.api.beforeWrite = () => {
      throw new ApiError('Forbidden', 403, 'no');
    };
    await expect(ensureIdentitySecret(w.deps, ref, now)).rejects.toMatchObject({
      code: 'Forbidden',
    });
  });
});

describe('a Secret is restored, with an Event, when', () => {
  const cases: [string, string, (w: ReturnType<typeof world>, s: Secret) => void][] = [
    [
      'its certificate is no certificate',
      'Corrupted',
      (_, s) => (s.data!['tls.crt'] = encode('x')),
    ],
    ['its key is no key', 'Corrupted', (_, s) => (s.data!['tls.key'] = encode('x'))],
    ['its roots are gone', 'Corrupted', (_, s) => delete s.data!['ca.crt']],
    ['it is empty', 'Corrupted', (_, s) => delete s.data],
    [
      'the key of another certificate is there',
      'Corrupted',
      (_, s) => (s.data!['tls.key'] = encode(createRoot('x', hour, now).keyPem)),
    ],
    [
      'it holds the identity of another',
      'WrongIdentity',
      (w, s) => fill(w, s, 'admin', w.state.authority!),
    ],
    [
      'another CA has issued it',
      'UntrustedIssuer',
      (w, s) => fill(w, s, 'cart', authorityOf(createRoot('cluster.local', 9999 * hour, now))),
    ],
  ];

  function fill(_: unknown, secret: Secret, account: string, authority: CertificateAuthority) {
    const uris = [`spiffe://cluster.local/ns/shop/sa/${account}`];
    const made = authority.issue({ uris, dnsNames: [], lifetimeMs: hour }, now);
    secret.data = {
      'tls.crt': encode(made.chainPem),
      'tls.key': encode(made.keyPem),
      'ca.crt': encode(made.rootsPem),
    };
  }

  it.each(cases)('%s', async (_, reason, edit) => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    await change(w, (secret) => edit(w, secret));
    expect(await ensureIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'restore' });
    expect(w.events.seen).toMatchObject([
      { reason: 'IdentityRestored', type: 'Warning', message: expect.stringContaining(reason) },
    ]);
    expect(await ensureIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'keep' });
  });

  it('its certificate has ended', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    const outcome = await ensureIdentitySecret(w.deps, ref, now + 24 * hour);
    expect(outcome.action).toBe('restore');
    expect(leafOf(await w.read()).validToDate.getTime()).toBe(now + 48 * hour);
  });

  it('it is immutable, too', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    await change(w, (secret) => Object.assign(secret, { immutable: true, data: {} }));
    await ensureIdentitySecret(w.deps, ref, now);
    expect(leafOf(await w.read()).subjectAltName).toContain('sa/cart');
  });

  it('somebody else writes in between: what is there then counts', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    const good = await w.read();
    await change(w, (secret) => delete secret.data);
    w.api.beforeWrite = () => {
      w.api.beforeWrite = () => undefined;
      w.api.put('Secret', good);
    };
    expect(await ensureIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'keep' });
    expect((await w.read()).data).toEqual(good.data);
  });
});

describe('the leader', () => {
  it('restores what was deleted while pods use it, with an Event', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    await w.api.delete('Secret', 'shop', name);
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'restore' });
    expect(w.events.seen).toMatchObject([
      { reason: 'IdentityRestored', message: expect.stringContaining('Deleted') },
    ]);
    expect(leafOf(await w.read()).subjectAltName).toContain('sa/cart');
  });

  it('renews at once what another key of the same root issued, as when an intermediate is replaced', async () => {
    const w = world();
    const root = createRoot('cluster.local', 9999 * hour, now);
    w.state.authority = authorityOf(intermediateOf(root));
    await ensureIdentitySecret(w.deps, ref, now);
    const before = leafOf(await w.read());
    w.state.authority = authorityOf(intermediateOf(root));
    expect(await ensureIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'renew' });
    expect(leafOf(await w.read()).serialNumber).toBe(before.serialNumber);
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'renew' });
    expect(leafOf(await w.read()).serialNumber).not.toBe(before.serialNumber);
    expect(w.events.reasons()).toEqual(['IdentityRenewed']);
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'keep' });
  });

  it('restores a chain that lost its intermediate', async () => {
    const w = world();
    w.state.authority = authorityOf(intermediateOf(createRoot('cluster.local', 9999 * hour, now)));
    await ensureIdentitySecret(w.deps, ref, now);
    await change(w, (s) => (s.data!['tls.crt'] = encode(leafOf(s).toString())));
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'restore' });
    expect(w.events.seen[0]!.message).toContain('UntrustedIssuer');
  });

  it('renews between 56 and 67 % of the life, and not before', async () => {
    const w = world();
    const { renewAtMs } = await ensureIdentitySecret(w.deps, ref, now);
    expect(renewAtMs).toBeGreaterThan(now + 24 * hour * 0.56);
    expect(renewAtMs).toBeLessThanOrEqual(now + 16 * hour);
    expect(await maintainIdentitySecret(w.deps, ref, renewAtMs - 1)).toMatchObject({
      action: 'keep',
    });
    const serial = leafOf(await w.read()).serialNumber;
    expect(await maintainIdentitySecret(w.deps, ref, renewAtMs)).toMatchObject({ action: 'renew' });
    expect(leafOf(await w.read()).serialNumber).not.toBe(serial);
    expect(w.events.reasons()).toEqual(['IdentityRenewed']);
  });

  it('spreads the renewals of many names', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    const leaf = leafOf(await w.read());
    const times = Array.from({ length: 100 }, (_, i) => renewalTime(`shop/${i}`, leaf));
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(2 * hour);
    expect(renewalTime('shop/7', leaf)).toBe(times[7]);
  });

  it('renews on demand of the Secret, once', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    await change(w, (secret) => (secret.metadata.annotations![renewAnnotation] = 'now'));
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'renew' });
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'keep' });
  });

  it('renews on demand of Mesh default everything older, once', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    const at = new Date(now + hour).toISOString();
    w.state.mesh!.metadata.annotations = { [renewAnnotation]: at };
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'keep' });
    expect(await maintainIdentitySecret(w.deps, ref, now + hour)).toMatchObject({
      action: 'renew',
    });
    expect(await maintainIdentitySecret(w.deps, ref, now + hour)).toMatchObject({ action: 'keep' });
  });

  it('brings new roots without a new certificate', async () => {
    const w = world();
    const root = createRoot('cluster.local', 9999 * hour, now);
    w.state.authority = authorityOf(root);
    await ensureIdentitySecret(w.deps, ref, now);
    const before = leafOf(await w.read());
    const rootsPem = root.rootsPem + createRoot('cluster.local', hour, now).rootsPem;
    w.state.authority = authorityOf({ ...root, rootsPem });
    expect(await maintainIdentitySecret(w.deps, ref, now)).toMatchObject({ action: 'trust' });
    const after = await w.read();
    expect(leafOf(after).serialNumber).toBe(before.serialNumber);
    expect(Buffer.from(after.data!['ca.crt']!, 'base64').toString()).toBe(rootsPem);
  });

  it('keeps labels and annotations that others have put on the Secret', async () => {
    const w = world();
    await ensureIdentitySecret(w.deps, ref, now);
    await change(w, (secret) => (secret.metadata.labels!.team = 'blue'));
    await maintainIdentitySecret(w.deps, ref, now + 20 * hour);
    expect((await w.read()).metadata.labels).toMatchObject({ team: 'blue' });
  });
});
