// CA material as companies bring it along, made by OpenSSL: what is good is used with its whole chain, and
// what is not is refused with the reason.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkIdentity } from '../../proxy/identity/certificate.ts';
import { loadAuthority, type CaPem } from './authority.ts';

interface Made {
  certificate: string;
  key: string;
}

interface Wish {
  name: string;
  /** Absent: self-signed. */
  by?: Made;
  key?: string[];
  extensions?: string[];
  days?: number;
  digest?: string;
}

const p256 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const rsa = (bits: number) => ['-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${bits}`];
const authority = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const hour = 3_600_000;
/** After all that is made here has begun. */
const nowMs = Date.now() + hour;
let folder = '';
let made = 0;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
}

function make(wish: Wish): Made {
  const file = `c${(made += 1)}`;
  const read = (suffix: string) => readFileSync(join(folder, `${file}.${suffix}`), 'utf8');
  openssl('genpkey', ...(wish.key ?? p256), '-out', `${file}.key`);
  const subject = ['-subj', `/O=Company/CN=${wish.name}`];
  openssl('req', '-new', '-key', `${file}.key`, ...subject, '-out', `${file}.csr`);
  writeFileSync(join(folder, `${file}.ext`), (wish.extensions ?? authority).join('\n'));
  const signer = wish.by === undefined ? ['-signkey', `${file}.key`] : signedBy(wish.by);
  const times = ['-days', String(wish.days ?? 300), `-${wish.digest ?? 'sha256'}`];
  const files = ['-in', `${file}.csr`, '-extfile', `${file}.ext`, '-out', `${file}.crt`];
  openssl('x509', '-req', ...files, ...times, ...signer);
  return { certificate: read('crt'), key: read('key') };
}

function signedBy({ certificate, key }: Made): string[] {
  writeFileSync(join(folder, 'by.crt'), certificate);
  writeFileSync(join(folder, 'by.key'), key);
  return ['-CA', 'by.crt', '-CAkey', 'by.key', '-CAcreateserial'];
}

function caOf(issuing: Made, above: Made[], root: Made): CaPem {
  const chainPem = [issuing, ...above].map(({ certificate }) => certificate).join('');
  return { chainPem, keyPem: issuing.key, rootsPem: root.certificate };
}

function verdict(pem: CaPem, trustDomain = 'cluster.local'): string {
  const loaded = loadAuthority(pem, nowMs, trustDomain);
  return loaded.ok ? 'good' : `${loaded.problem.reason}: ${loaded.problem.message}`;
}

describe("a company's CA", () => {
  let root: Made;
  let middle: Made;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsmesh-ca-'));
    root = make({ name: 'root' });
    middle = make({ name: 'middle', by: root });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('two levels below its root serves the whole chain, which sidecars accept', () => {
    const issuing = make({
      name: 'mesh',
      by: middle,
      extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', authority[1]!],
    });
    const loaded = loadAuthority(caOf(issuing, [middle], root), nowMs, 'cluster.local');
    if (!loaded.ok) throw new Error(loaded.problem.message);
    const uris = ['spiffe://cluster.local/ns/shop/sa/cart'];
    const leaf = loaded.authority.issue({ uris, dnsNames: [], lifetimeMs: hour }, nowMs);
    expect(leaf.chainPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
    const fingerprint = new X509Certificate(root.certificate).fingerprint256.replaceAll(':', '');
    expect(checkIdentity(leaf, null, nowMs)).toMatchObject({
      ok: true,
      identity: { underRoot: fingerprint, trustedRoots: [fingerprint] },
    });
  });

  it('may be under an RSA root, and permit the names of the mesh', () => {
    const rsaRoot = make({ name: 'rsa', key: rsa(2048) });
    const constraints =
      'nameConstraints=critical,permitted;URI:cluster.local,permitted;DNS:tsmesh-system.svc,permitted;DNS:cluster.local';
    const issuing = make({ name: 'mesh', by: rsaRoot, extensions: [...authority, constraints] });
    expect(verdict(caOf(issuing, [], rsaRoot))).toBe('good');
  });

  const refused: [string, string, () => string][] = [
    [
      'a link of the chain is missing',
      'CARootMissing',
      () => verdict(caOf(make({ name: 'mesh', by: middle }), [], root)),
    ],
    [
      'the chain is in the wrong order',
      'CAChainBroken',
      () => {
        const lower = make({ name: 'lower', by: middle });
        return verdict(caOf(make({ name: 'mesh', by: lower }), [middle, lower], root));
      },
    ],
    [
      'a certificate above is no authority',
      'CAChainBroken',
      () => {
        const leaf = make({ name: 'leaf', by: root, extensions: ['basicConstraints=CA:FALSE'] });
        return verdict(caOf(make({ name: 'mesh', by: leaf }), [leaf], root));
      },
    ],
    [
      'a certificate above has ended',
      'CAExpired',
      () => {
        const short = make({ name: 'short', by: root, days: 1 });
        const pem = caOf(make({ name: 'mesh', by: short }), [short], root);
        const loaded = loadAuthority(pem, nowMs + 48 * hour);
        return loaded.ok ? 'good' : `${loaded.problem.reason}: ${loaded.problem.message}`;
      },
    ],
    [
      'a certificate above is of a short RSA key',
      'CAWeak',
      () => {
        const weak = make({ name: 'weak', by: root, key: rsa(1024) });
        return verdict(caOf(make({ name: 'mesh', by: weak }), [weak], root));
      },
    ],
    [
      'its root is of a short RSA key',
      'CAWeak',
      () => {
        const weak = make({ name: 'weak', key: rsa(1024) });
        return verdict(caOf(make({ name: 'mesh', by: weak }), [], weak));
      },
    ],
    [
      'it is signed with SHA-1',
      'CAWeak',
      () => verdict(caOf(make({ name: 'mesh', by: root, digest: 'sha1' }), [], root)),
    ],
    [
      'its own key is RSA',
      'CAKeyUnsupported',
      () => verdict(caOf(make({ name: 'mesh', by: root, key: rsa(2048) }), [], root)),
    ],
    [
      'the path length above does not allow it',
      'CAPathLength',
      () => {
        const last = make({
          name: 'last',
          by: root,
          extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', authority[1]!],
        });
        return verdict(caOf(make({ name: 'mesh', by: last }), [last], root));
      },
    ],
    [
      'its name constraints permit another trust domain only',
      'CANameConstraints',
      () => {
        const extensions = [...authority, 'nameConstraints=critical,permitted;URI:other.example'];
        return verdict(caOf(make({ name: 'mesh', by: root, extensions }), [], root));
      },
    ],
    [
      "name constraints above exclude the operator's host name",
      'CANameConstraints',
      () => {
        const extensions = [...authority, 'nameConstraints=critical,excluded;DNS:svc'];
        const strict = make({ name: 'strict', by: root, extensions });
        return verdict(caOf(make({ name: 'mesh', by: strict }), [strict], root));
      },
    ],
    [
      'it is for another trust domain',
      'CATrustDomain',
      () => {
        const extensions = [...authority, 'subjectAltName=URI:spiffe://other.example'];
        return verdict(caOf(make({ name: 'mesh', by: root, extensions }), [], root));
      },
    ],
    [
      'what it trusts is an intermediate, not a root',
      'CARootMissing',
      () => verdict(caOf(make({ name: 'mesh', by: middle }), [], middle)),
    ],
  ];
  it.each(refused)('is refused where %s', (_, reason, run) => {
    expect(run()).toMatch(new RegExp(`^${reason}: \\S+ \\S+`));
  });
});
