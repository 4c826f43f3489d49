// Fuzz targets for certificates: what a peer may send as its leaf, and what may lie in the files of an identity.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { parseSpiffeId } from '../../proxy/api/spiffe.ts';
import { checkIdentity, spiffeIdOf } from '../../proxy/identity/certificate.ts';
import { oddCertificate, oddRoot, type Names } from '../support/odd-certificates.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { must, mustEqual, type Target } from './target.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/app';
const NAME_WORDS = [ID, 'URI:', ', URI:', ', ', '"', '\\u002c', '\0', 'DNS:', '%2f', 'é'];

/** Keys are random, but nothing that is asserted depends on them. Valid for as long as anybody fuzzes. */
const lasting = { notAfterMs: Date.now() + 30 * 86_400_000 };
const root = oddRoot(lasting);
const leaf = oddCertificate({ names: [['uri', ID]], ...lasting }, root);

function oddName(random: Random): string {
  const text = random.list(4, () => random.pick(NAME_WORDS)).join('');
  return random.oneIn(3) ? ID : mutate(random, Buffer.from(text), NAME_WORDS).toString('latin1');
}

/** Names of any kind and content: only exactly one URI, and that in full, is an identity. */
const names: Target = {
  name: 'certificate-names',
  small: true,
  run(random) {
    const list: Names = random.list(4, () => [
      random.pick(['uri', 'dns', 'email'] as const),
      oddName(random),
    ]);
    const { der } = oddCertificate({ names: list, key: leaf.key }, root);
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(der);
    } catch {
      return;
    }
    const id = spiffeIdOf(certificate.subjectAltName);
    const uris = list.filter(([kind]) => kind === 'uri').map(([, text]) => text);
    const expected = uris.length === 1 && parseSpiffeId(uris[0]!) !== null ? uris[0] : null;
    mustEqual(id, expected, 'a name is read as another');
  },
};

/** A leaf that is damaged is refused, or still the one it was. */
const damaged: Target = {
  name: 'certificate-der',
  small: true,
  run(random) {
    const bytes = mutate(random, leaf.der, ['\x30\x82', '\x86\x7f', '\x06\x03\x55\x1d\x11', ID]);
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(bytes);
    } catch {
      return;
    }
    // All that the sidecar reads of it can be read, whatever it says.
    const id = spiffeIdOf(certificate.subjectAltName);
    must(id === null || parseSpiffeId(id) !== null, 'an id that is none', () => id);
    must(certificate.fingerprint256.length === 95, 'no fingerprint');
    must(typeof certificate.ca === 'boolean', 'no word on whether it is an authority');
    must(typeof certificate.validToDate.getTime() === 'number', 'no end');
  },
};

/** Files with anything in them get a verdict in words, and a good one only where they fit together. */
const files: Target = {
  name: 'identity-files',
  run(random) {
    const good = { chainPem: leaf.pem, keyPem: leaf.keyPem, rootsPem: root.pem };
    const words = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '\n', leaf.pem];
    const which = random.pick(['chainPem', 'keyPem', 'rootsPem'] as const);
    const spoilt = mutate(random, Buffer.from(good[which]), words).toString('latin1');
    const verdict = checkIdentity({ ...good, [which]: spoilt }, null, Date.now());
    if (!verdict.ok) return must(verdict.reason !== '', 'a refusal without words');
    mustEqual(verdict.identity.spiffeId, ID, 'another identity');
    if (which === 'keyPem') {
      const key = createPrivateKey(spoilt);
      must(new X509Certificate(leaf.pem).checkPrivateKey(key), 'a key that does not fit is taken');
    }
  },
};

export const certificateTargets: readonly Target[] = [names, damaged, files];
