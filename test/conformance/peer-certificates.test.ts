// Certificates that no peer of the mesh may be believed with: each is shown to a sidecar by a peer that calls it and
// by one that it calls, and must be refused with its reason in log and metrics, the sidecar going on as before.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { run } from '../../hack/lib/command.ts';
import { ensureOddPeer } from '../../hack/tools/peers.ts';
import { alpn } from '../../proxy/api/constants.ts';
import { call, until } from '../support/mesh-pair.ts';
import {
  authority,
  newKey,
  oddCertificate,
  oddRoot,
  type OddCertificate,
  type OddParts,
} from '../support/odd-certificates.ts';
import { goodLeaf, idOf, identityOf, proofOf, startOddMesh } from '../support/odd-mesh.ts';
import type { OddMesh, Proof } from '../support/odd-mesh.ts';
import { loopback, type TestSidecar } from '../support/sidecar.ts';

const hourMs = 3_600_000;
let mesh: OddMesh;

beforeAll(async () => {
  mesh = await startOddMesh();
});
afterAll(() => mesh.close());

/** A leaf of the mesh's own root for this service account, but for the parts. */
function leaf(serviceAccount: string, parts: OddParts, issuer = mesh.root): OddCertificate {
  return oddCertificate({ names: [['uri', idOf(serviceAccount)]], ...parts }, issuer);
}

function intermediate(parts: OddParts = {}, issuer = mesh.root): OddCertificate {
  return oddCertificate({ commonName: 'odd intermediate', ...authority, ...parts }, issuer);
}

/** `account` is the service account that the peer claims. */
type Make = (account: string) => Proof;

const under = (above: OddCertificate, account: string): Proof =>
  proofOf(leaf(account, {}, above), above);

/** Server and client take the same but for what a certificate may be used for. */
const cases: readonly (readonly [what: string, words: string, make: Make])[] = [
  [
    'expired',
    'CERT_HAS_EXPIRED',
    (account) => proofOf(leaf(account, { notAfterMs: Date.now() - 1000 })),
  ],
  [
    'not valid yet',
    'CERT_NOT_YET_VALID',
    (account) =>
      proofOf(
        leaf(account, { notBeforeMs: Date.now() + hourMs, notAfterMs: Date.now() + 2 * hourMs }),
      ),
  ],
  [
    'of another trust domain',
    'is of another trust domain',
    (account) =>
      proofOf(leaf(account, { names: [['uri', `spiffe://other.example/ns/shop/sa/${account}`]] })),
  ],
  [
    'with its SPIFFE id as a DNS name',
    'holds no SPIFFE id',
    (account) => proofOf(leaf(account, { names: [['dns', idOf(account)]] })),
  ],
  [
    'with its SPIFFE id as an e-mail address',
    'holds no SPIFFE id',
    (account) => proofOf(leaf(account, { names: [['email', idOf(account)]] })),
  ],
  [
    'with two SPIFFE ids',
    'holds no SPIFFE id',
    (account) =>
      proofOf(
        leaf(account, {
          names: [
            ['uri', idOf(account)],
            ['uri', idOf('other')],
          ],
        }),
      ),
  ],
  [
    'with a SPIFFE id and another URI',
    'holds no SPIFFE id',
    (account) =>
      proofOf(
        leaf(account, {
          names: [
            ['uri', 'https://a.example/'],
            ['uri', idOf(account)],
          ],
        }),
      ),
  ],
  [
    'with a SPIFFE id inside of a DNS name',
    'holds no SPIFFE id',
    (account) => proofOf(leaf(account, { names: [['dns', `x, URI:${idOf(account)}, DNS:y`]] })),
  ],
  [
    'with something behind its SPIFFE id',
    'holds no SPIFFE id',
    (account) => proofOf(leaf(account, { names: [['uri', `${idOf(account)}\0.x`]] })),
  ],
  [
    'with a SPIFFE id in capitals',
    'holds no SPIFFE id',
    (account) => proofOf(leaf(account, { names: [['uri', idOf(account).toUpperCase()]] })),
  ],
  ['without any name', 'holds no SPIFFE id', (account) => proofOf(leaf(account, { names: [] }))],
  [
    'signed by itself',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    (account) => proofOf(oddCertificate({ names: [['uri', idOf(account)]] }, null)),
  ],
  [
    'of another root that has the name of the mesh’s',
    'certificate not accepted: ',
    (account) => proofOf(leaf(account, {}, oddRoot())),
  ],
  [
    'of another root, which is sent along',
    'SELF_SIGNED_CERT_IN_CHAIN',
    (account) => under(oddRoot({ commonName: 'another' }), account),
  ],
  [
    'of an intermediate that is not sent',
    'UNABLE_TO_',
    (account) => proofOf(leaf(account, {}, intermediate())),
  ],
  [
    'of an intermediate that has expired',
    'CERT_HAS_EXPIRED',
    (account) => under(intermediate({ notAfterMs: Date.now() - 1000 }), account),
  ],
  [
    'of a leaf that plays authority',
    'key usage does not include certificate signing',
    (account) => under(goodLeaf('other', mesh.root), account),
  ],
  [
    'of an authority that may not sign certificates',
    'certificate not accepted: ',
    (account) => under(intermediate({ usages: ['digitalSignature'] }), account),
  ],
  [
    'of an authority for other names',
    'permitted subtree violation',
    (account) => under(intermediate({ permittedUriHost: 'other.example' }), account),
  ],
  [
    'that is an authority itself',
    'is an authority’s',
    (account) => proofOf(leaf(account, { ca: true, usages: ['digitalSignature', 'keyCertSign'] })),
  ],
  [
    'for signing code',
    'INVALID_PURPOSE',
    (account) => proofOf(leaf(account, { purposes: ['codeSigning'] })),
  ],
  [
    'with a key that may not sign',
    'certificate not accepted: ',
    (account) => proofOf(leaf(account, { usages: ['keyCertSign'] })),
  ],
  [
    'with an RSA key of 1024 bits',
    'EE certificate key too weak',
    (account) => proofOf(leaf(account, { key: newKey.rsa(1024) })),
  ],
  [
    'of an intermediate with an RSA key of 1024 bits',
    'CA certificate key too weak',
    (account) => under(intermediate({ key: newKey.rsa(1024) }), account),
  ],
  [
    'signed over SHA-1',
    'signature digest algorithm too weak',
    (account) => {
      const above = intermediate({ key: newKey.rsa(2048) });
      return proofOf(leaf(account, { sha1: true }, above), above);
    },
  ],
];

function errorsOf(sidecar: TestSidecar, direction: 'inbound' | 'outbound', flag = 'UTLS'): number {
  let sum = 0;
  for (const { errors } of sidecar.counters.snapshot(direction)) sum += errors.get(flag) ?? 0;
  return sum;
}

describe('a peer that calls with a certificate', () => {
  it.each(cases)('%s is refused, and the log says %s', async (_what, words, make) => {
    const { callee } = mesh;
    const [lines, errors, reached] = [
      callee.log.length,
      errorsOf(callee, 'inbound'),
      mesh.reached(),
    ];
    const { text } = await mesh.connectAs(make('caller'));
    await until('it was logged', () => callee.log.length > lines);
    expect(callee.log.at(-1)).toMatchObject({ flag: 'UTLS', peer: '' });
    expect(callee.log.at(-1)?.detail).toContain(words);
    expect(errorsOf(callee, 'inbound')).toBe(errors + 1);
    expect([text, mesh.reached()]).toEqual(['', reached]);
  });
});

describe('a peer that is called with a certificate', () => {
  it.each(cases)('%s is refused, and the caller is told %s', async (_what, words, make) => {
    const { caller } = mesh;
    const errors = errorsOf(caller, 'outbound');
    await mesh.serveAs(make('callee'));
    const answer = await call({ port: caller.outbound.address.port });
    expect(answer.status).toBe(503);
    expect(answer.body.toString()).toContain('UTLS');
    expect(caller.log.at(-1)?.flag).toBe('UTLS');
    expect(caller.log.at(-1)?.detail).toContain(words.replace('certificate not accepted: ', ''));
    expect(errorsOf(caller, 'outbound')).toBe(errors + 1);
  });
});

/** What stands where a leaf should, from a good leaf's DER. */
const bytesCases: readonly (readonly [what: string, certificates: (der: Buffer) => Buffer[]])[] = [
  ['is truncated by one byte', (der) => [der.subarray(0, -1)]],
  ['ends within its name', (der) => [der.subarray(0, der.indexOf('spiffe://') + 12)]],
  ['ends after its header', (der) => [der.subarray(0, 4)]],
  ['is one byte', (der) => [der.subarray(0, 1)]],
  ['is empty', () => [Buffer.alloc(0)]],
  ['has something behind it', (der) => [Buffer.concat([der, Buffer.from('more')])]],
  [
    'claims to be longer than 4 GB',
    (der) => [Buffer.from(`3084ffffffff${der.toString('hex', 4)}`, 'hex')],
  ],
  ['is text', () => [Buffer.from('not a certificate')]],
  ['is followed by a truncated intermediate', (der) => [der, der.subarray(0, 50)]],
  ['is a PEM file', () => [Buffer.from(goodLeaf('caller', mesh.root).pem)]],
  ['is not there', () => []],
];

describe('a peer whose certificate, on the wire,', () => {
  let program: string;
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-odd-'));
  const keyFile = join(folder, 'key.pem');
  beforeAll(async () => {
    program = await ensureOddPeer();
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(bytesCases)('%s is refused where it calls', async (_what, bytesOf) => {
    const { callee } = mesh;
    const good = goodLeaf('caller', mesh.root);
    writeFileSync(keyFile, good.keyPem);
    const [lines, errors] = [callee.log.length, errorsOf(callee, 'inbound')];
    const certificates = bytesOf(good.der).map((bytes) => bytes.toString('hex'));
    const at = `${loopback}:${mesh.calleePort}`;
    const { stdout } = await run(program, ['call', at, alpn.tcp, keyFile, ...certificates]);
    await until('it was logged', () => callee.log.length > lines);
    expect(stdout).toBe('');
    expect(callee.log.at(-1)).toMatchObject({ flag: 'UTLS', peer: '' });
    // OpenSSL's own words begin with the number of a thread.
    expect(callee.log.at(-1)?.detail).toMatch(/: (ERR_SSL_|certificate not accepted: )/);
    expect(errorsOf(callee, 'inbound')).toBe(errors + 1);
  });

  it.each(bytesCases)('%s is refused where it is called', async (_what, bytesOf) => {
    const { caller } = mesh;
    const good = goodLeaf('callee', mesh.root);
    writeFileSync(keyFile, good.keyPem);
    const certificates = bytesOf(good.der).map((bytes) => bytes.toString('hex'));
    const args = ['serve', alpn.http, keyFile, ...certificates];
    const peer = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [port] = (await once(peer.stdout, 'data')) as [Buffer];
      mesh.route(Number(port.toString()));
      const errors = errorsOf(caller, 'outbound');
      const answer = await call({ port: caller.outbound.address.port });
      expect(answer.status).toBe(503);
      expect(answer.body.toString()).toContain('UTLS');
      expect(errorsOf(caller, 'outbound')).toBe(errors + 1);
    } finally {
      peer.kill('SIGKILL');
    }
  });

  it('is whole gets through', async () => {
    const good = goodLeaf('caller', mesh.root);
    writeFileSync(keyFile, good.keyPem);
    const at = `${loopback}:${mesh.calleePort}`;
    const args = ['call', at, alpn.tcp, keyFile, good.der.toString('hex')];
    expect((await run(program, args)).stdout).toBe('app');
  });
});

describe('a peer that comes back with the session of an earlier connection', () => {
  /** The end of a short certificate, in whole seconds as X.509 has them. */
  const soon = (): number => Math.ceil(Date.now() / 1000) * 1000 + 1000;

  it('is asked for its certificate again', async () => {
    const proof = proofOf(goodLeaf('caller', mesh.root));
    const first = await mesh.connectAs(proof);
    const again = await mesh.connectAs(proof, first.session!);
    expect([first.text, again.text, again.resumed]).toEqual(['app', 'app', false]);
  });

  it('is refused where its certificate has ended since', async () => {
    const notAfterMs = soon();
    const proof = proofOf(leaf('caller', { notAfterMs }));
    const first = await mesh.connectAs(proof);
    expect(first.text).toBe('app');
    await until('it has ended', () => Date.now() > notAfterMs + 1000);
    const again = await mesh.connectAs(proof, first.session!);
    expect([again.text, again.resumed]).toEqual(['', false]);
    expect(mesh.callee.log.at(-1)?.detail).toContain('CERT_HAS_EXPIRED');
  });

  it('is refused where its root is trusted no longer', async () => {
    const { callee, root } = mesh;
    const proof = proofOf(goodLeaf('caller', root));
    const first = await mesh.connectAs(proof);
    const next = oddRoot({ commonName: 'next root' });
    callee.identity.swap(identityOf(proofOf(goodLeaf('callee', next)), next.pem));
    const again = await mesh.connectAs(proof, first.session!);
    callee.identity.swap(identityOf(proofOf(goodLeaf('callee', root)), root.pem));
    expect([first.text, again.text, again.resumed]).toEqual(['app', '', false]);
    expect(callee.log.at(-1)?.detail).toContain('certificate not accepted');
  });
});

describe('a peer with a key of another kind than the mesh’s own', () => {
  it.each([
    ['P-384', () => newKey.curve('secp384r1')],
    ['RSA of 2048 bits', () => newKey.rsa(2048)],
  ])('is let in with %s', async (_kind, key) => {
    const { text } = await mesh.connectAs(proofOf(leaf('caller', { key: key() })));
    expect(text).toBe('app');
  });
});

describe('a peer with more certificates than anybody needs', () => {
  it('is let in while they are 20, whatever they are', async () => {
    const others = Array.from({ length: 20 }, () => oddRoot());
    const { text } = await mesh.connectAs(proofOf(goodLeaf('caller', mesh.root), ...others));
    expect(text).toBe('app');
  });

  it('is refused at 100 kB', async () => {
    const lines = mesh.callee.log.length;
    const other = oddRoot();
    const many = Array.from({ length: 400 }, () => other);
    const { text } = await mesh.connectAs(proofOf(goodLeaf('caller', mesh.root), ...many));
    await until('it was logged', () => mesh.callee.log.length > lines);
    expect(text).toBe('');
    expect(mesh.callee.log.at(-1)).toMatchObject({ flag: 'UTLS' });
  });

  it('is refused where they are a chain of 150', async () => {
    const lines = mesh.callee.log.length;
    const key = newKey.p256();
    const chain: OddCertificate[] = [];
    for (let depth = 0; depth < 150; depth += 1) {
      const parts = { key, commonName: `depth ${depth}`, ...authority };
      chain.unshift(oddCertificate(parts, chain[0] ?? mesh.root));
    }
    const { text } = await mesh.connectAs(proofOf(leaf('caller', {}, chain[0]), ...chain));
    await until('it was logged', () => mesh.callee.log.length > lines);
    expect(text).toBe('');
    expect(mesh.callee.log.at(-1)?.detail).toContain('certificate not accepted');
  });
});

describe('a peer that proves to be another one of the mesh', () => {
  it('is refused where it is called, and counted by itself', async () => {
    const { caller } = mesh;
    const errors = errorsOf(caller, 'outbound', 'UID');
    await mesh.serveAs(proofOf(goodLeaf('impostor', mesh.root)));
    const answer = await call({ port: caller.outbound.address.port });
    expect(answer.status).toBe(503);
    expect(answer.body.toString()).toContain(
      `is ${idOf('impostor')}, expected was ${idOf('callee')}`,
    );
    expect(caller.log.at(-1)?.flag).toBe('UID');
    // Each attempt counts.
    expect(errorsOf(caller, 'outbound', 'UID')).toBeGreaterThan(errors);
  });
});
