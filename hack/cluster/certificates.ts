// The certificates and kubeconfig files of the embedded cluster, made with the openssl program.
// They are Kubernetes' own and have nothing to do with the mesh's identities.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../lib/command.ts';
import { NODE_NAME, type ClusterSettings } from './settings.ts';

/** Who the components are to the apiserver: common name and group decide what they may do. */
const clients = {
  admin: '/O=system:masters/CN=admin',
  'apiserver-kubelet-client': '/O=system:masters/CN=apiserver-kubelet-client',
  'controller-manager': '/CN=system:kube-controller-manager',
  scheduler: '/CN=system:kube-scheduler',
  kubelet: `/O=system:nodes/CN=system:node:${NODE_NAME}`,
  'kube-proxy': '/CN=system:kube-proxy',
} as const;

const VALID_DAYS = '365';

/** Makes them all below `pki` in the state folder; kubeconfig files are beside the certificates. */
export async function makeCertificates(settings: ClusterSettings): Promise<void> {
  const pki = join(settings.state, 'pki');
  mkdirSync(pki, { recursive: true, mode: 0o700 });
  await selfSigned(pki);
  const names = [
    'DNS:kubernetes',
    'DNS:kubernetes.default',
    'DNS:kubernetes.default.svc',
    'DNS:kubernetes.default.svc.cluster.local',
    'DNS:localhost',
    'IP:127.0.0.1',
    `IP:${settings.apiServiceAddress}`,
    `IP:${settings.nodeAddress}`,
  ];
  const serving = `subjectAltName=${names.join(',')}`;
  await Promise.all([
    signed(pki, 'apiserver', '/CN=kube-apiserver', [serving, 'extendedKeyUsage=serverAuth']),
    ...Object.entries(clients).map(([name, subject]) =>
      signed(pki, name, subject, ['extendedKeyUsage=clientAuth']),
    ),
  ]);
  for (const name of Object.keys(clients)) {
    const mode = { mode: 0o600 };
    writeFileSync(join(pki, `${name}.kubeconfig`), kubeconfig(settings, pki, name), mode);
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(pki, 'service-account.key'), pem, { mode: 0o600 });
}

const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'.split(' ');

async function selfSigned(pki: string): Promise<void> {
  const files = ['-keyout', join(pki, 'ca.key'), '-out', join(pki, 'ca.crt')];
  const subject = ['-subj', '/CN=tsmesh-embedded-cluster', '-days', VALID_DAYS];
  await mustRun('openssl', ['req', '-x509', ...newKey, ...subject, ...files]);
}

async function signed(
  pki: string,
  name: string,
  subject: string,
  extensions: readonly string[],
): Promise<void> {
  const file = (extension: string) => join(pki, `${name}.${extension}`);
  writeFileSync(file('ext'), `${extensions.join('\n')}\n`);
  const made = ['-keyout', file('key'), '-out', file('csr')];
  await mustRun('openssl', ['req', '-new', ...newKey, '-subj', subject, ...made]);
  const issuer = ['-CA', join(pki, 'ca.crt'), '-CAkey', join(pki, 'ca.key')];
  const serial = ['-CAcreateserial', '-CAserial', file('srl')];
  const request = ['-in', file('csr'), '-extfile', file('ext'), '-days', VALID_DAYS];
  const out = ['-out', file('crt')];
  await mustRun('openssl', ['x509', '-req', ...request, ...issuer, ...serial, ...out]);
}

function kubeconfig(settings: ClusterSettings, pki: string, name: string): string {
  const base64 = (file: string) => readFileSync(join(pki, file)).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'tsmesh',
        cluster: {
          server: `https://${settings.nodeAddress}:6443`,
          'certificate-authority-data': base64('ca.crt'),
        },
      },
    ],
    users: [
      {
        name,
        user: {
          'client-certificate-data': base64(`${name}.crt`),
          'client-key-data': base64(`${name}.key`),
        },
      },
    ],
    contexts: [{ name: 'tsmesh', context: { cluster: 'tsmesh', user: name } }],
    'current-context': 'tsmesh',
  });
}
