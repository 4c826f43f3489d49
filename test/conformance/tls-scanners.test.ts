// Other people's TLS scanners against everything in the mesh that listens for TLS, and the same questions to a real
// sidecar process. docs/tls-scans.md says what they found and what of it does not apply.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { run } from '../../hack/lib/command.ts';
import { ensureSslyze, ensureTestssl } from '../../hack/tools/peers.ts';
import { Bench, leaf } from '../../operator/discovery/test-replica.ts';
import { createWebhookServer } from '../../operator/inject/webhook-server.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { alpn } from '../../proxy/api/constants.ts';
import { createIdentityHolder } from '../../proxy/identity/store.ts';
import { startMeshListener, type MeshListener } from '../support/mesh-listener.ts';
import { listenOn } from '../support/mesh-pair.ts';
import { identityOf } from '../support/odd-mesh.ts';
import { startProcessPair, type ProcessPair } from '../support/process-pair.ts';
import { isWhole } from '../support/samples.ts';
import { loopback } from '../support/sidecar.ts';

/**
 * What is scanned, and whether it insists on a client certificate. Discovery bounds how often one address may connect,
 * and so is asked no thousand questions: it has the TLS of the others (proxy/api/tls.ts), and is asked a few below.
 */
const listeners = [
  ['sidecar', 'REQUIRED'],
  // The API server proves itself in no way that a webhook could ask for.
  ['webhook', 'DISABLED'],
] as const;
type Name = (typeof listeners)[number][0] | 'discovery';

const ports = {} as Record<Name, number>;
const closers: (() => unknown)[] = [];
const folder = mkdtempSync(join(tmpdir(), 'tsmesh-scan-'));
const inFolder = (name: string): string => join(folder, name);
const peerFiles = ['--cert', inFolder('peer.crt'), '--key', inFolder('peer.key')];
let sslyze: Awaited<ReturnType<typeof ensureSslyze>>;
let testssl: string;
let sidecar: MeshListener;

beforeAll(async () => {
  sslyze = await ensureSslyze();
  testssl = await ensureTestssl();
  const bench = new Bench();
  closers.push(() => bench.close());
  const own = leaf(bench.ca, 'shop', 'server');
  const identity = createIdentityHolder().swap(identityOf(own, own.rootsPem));
  sidecar = await startMeshListener(identity);
  closers.push(() => sidecar.close());
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const webhook = createWebhookServer({
    tls: { current: () => own, onChange: () => () => undefined },
    handlers: {},
    clientCaPem: null,
    log,
    clock: systemClock,
  });
  closers.push(() => webhook.close());
  ports.sidecar = sidecar.port;
  // Scanners come from one address, and often.
  const rate = { perSecond: 1000, burst: 1000 };
  const connections = { total: 1000, perAddress: 1000, rate };
  ports.discovery = (await bench.replica({}, { connections })).port;
  ports.webhook = await webhook.listen(0, loopback);
  const peer = leaf(bench.ca, 'shop', 'peer');
  writeFileSync(inFolder('peer.crt'), peer.chainPem);
  writeFileSync(inFolder('peer.key'), peer.keyPem);
  writeFileSync(inFolder('root.crt'), peer.rootsPem);
}, 300_000);

afterAll(async () => {
  for (const close of closers) await close();
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  connectivity_status: string;
  connectivity_result: { client_auth_requirement: string; highest_tls_version_supported: string };
  scan_result: Record<string, { status: string; result: Record<string, unknown> }>;
}

/** One server as sslyze sees it; what it prints is the comparison with Mozilla's list. */
async function scan(port: number, ...more: string[]): Promise<{ result: Result; text: string }> {
  const file = inFolder(`sslyze-${port}-${more.length}.json`);
  const args = [...sslyze.args, '--mozilla_config', 'modern', ...more, '--json_out', file];
  const { stdout } = await run(sslyze.program, [...args, `${loopback}:${port}`], {
    env: sslyze.env,
    timeoutMs: 60_000,
  });
  const report = JSON.parse(readFileSync(file, 'utf8')) as { server_scan_results: Result[] };
  return { result: report.server_scan_results[0]!, text: stdout };
}

const old = ['ssl_2_0', 'ssl_3_0', 'tls_1_0', 'tls_1_1', 'tls_1_2'];
const questions = (
  'certinfo sslv2 sslv3 tlsv1 tlsv1_1 tlsv1_2 tlsv1_3 resum fallback reneg openssl_ccs ' +
  'elliptic_curves compression early_data ems heartbleed robot'
)
  .split(' ')
  .map((one) => `--${one}`);

describe.each(listeners)('sslyze, asking the %s listener', (name, clientCertificate) => {
  it('finds nothing to flag', async () => {
    const { result, text } = await scan(ports[name], ...questions);
    expect(result.connectivity_result).toMatchObject({
      client_auth_requirement: clientCertificate,
      highest_tls_version_supported: 'TLS_1_3',
    });
    const found = (what: string) => result.scan_result[what]!.result;
    for (const version of old) {
      expect(found(`${version}_cipher_suites`)).toMatchObject({ accepted_cipher_suites: [] });
    }
    const accepted = found('tls_1_3_cipher_suites')['accepted_cipher_suites'] as {
      cipher_suite: { name: string };
    }[];
    expect(accepted.map(({ cipher_suite }) => cipher_suite.name).toSorted()).toEqual([
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
    ]);
    const curves = found('elliptic_curves')['supported_curves'] as { name: string }[];
    expect(curves.map((curve) => curve.name).toSorted()).toEqual([
      'X25519',
      'secp256r1',
      'secp384r1',
    ]);
    expect(found('tls_compression')).toMatchObject({ supports_compression: false });
    // Who needs a certificate and a protocol of the mesh says nothing to sslyze; see below.
    if (clientCertificate === 'DISABLED')
      expect(found('tls_1_3_early_data')).toMatchObject({ supports_early_data: false });
    expect(found('openssl_ccs_injection')).toMatchObject({ is_vulnerable_to_ccs_injection: false });
    expect(found('heartbleed')).toMatchObject({ is_vulnerable_to_heartbleed: false });
    expect(found('robot')).toMatchObject({ robot_result: 'NOT_VULNERABLE_RSA_NOT_SUPPORTED' });
    expect(found('session_renegotiation')).toMatchObject({
      is_vulnerable_to_client_renegotiation_dos: false,
    });
    // Sidecars are told by their SPIFFE id, not by the name of a host: no path of the web ends in them.
    const flagged = text.split('\n').filter((line) => /^ +\* [a-z_]+: /.test(line));
    expect(flagged.filter((line) => !line.includes('certificate_path_validation'))).toEqual([]);
    expect(text).toContain('FAILED - Not compliant');
  }, 90_000);
});

describe('to a peer of the mesh', () => {
  it('a sidecar offers no early data', async () => {
    const at = ['-connect', `${loopback}:${ports.sidecar}`, '-alpn', alpn.tcp, '-ign_eof'];
    const certificate = peerFiles.map((arg) => arg.replace('--', '-'));
    const { stdout } = await run('openssl', ['s_client', ...at, ...certificate]);
    expect(stdout).toContain('Max Early Data: 0');
    expect(sidecar.peers).toEqual(['spiffe://cluster.local/ns/shop/sa/peer']);
  });

  it.each([
    ['sidecar', alpn.tcp],
    ['discovery', 'h2'],
  ] as const)('no session is resumed by %s', async (name, protocol) => {
    const visit = (session?: Buffer) =>
      new Promise<{ session: Buffer; resumed: boolean }>((resolve, reject) => {
        const socket = tls.connect({
          port: ports[name],
          host: loopback,
          rejectUnauthorized: false,
          ALPNProtocols: [protocol],
          cert: readFileSync(inFolder('peer.crt')),
          key: readFileSync(inFolder('peer.key')),
          ...(session !== undefined && { session }),
        });
        socket.on('error', reject);
        socket.once('session', (given: Buffer) => {
          resolve({ session: given, resumed: socket.isSessionReused() });
          socket.destroy();
        });
      });
    const first = await visit();
    expect(await visit(first.session)).toMatchObject({ resumed: false });
  });
});

/** Findings of testssl.sh that say how the mesh is meant to be; docs/tls-scans.md has the reasons. */
const meant: ReadonlySet<string> = new Set([
  'cert_trust',
  'cert_expirationStatus',
  'cert_notAfter',
  'cert_revocation',
  // Of the OpenSSL that the scanner itself uses.
  'engine_problem',
  'optimal_proto',
  // Of web pages: what answers here is a webhook.
  'HSTS',
  'security_headers',
]);

// It takes its time: one listener and a few questions, but in the full tests.
describe.each(isWhole() ? listeners : listeners.slice(0, 1))(
  'testssl.sh, asking the %s listener',
  (name, _clientCertificate) => {
    it('finds nothing to flag', async () => {
      const file = inFolder(`testssl-${name}.json`);
      const some = isWhole() ? [] : ['--protocols', '--renegotiation'];
      const fixed = ['--color', '0', '--warnings', 'off', '--quiet', '--nodns', 'none'];
      const args = [...fixed, '--add-ca', inFolder('root.crt'), '--jsonfile', file, ...some];
      await run(testssl, [...args, `${loopback}:${ports[name]}`], { timeoutMs: 280_000 });
      const findings = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>[];
      const good = new Set(['OK', 'INFO', 'DEBUG']);
      const flagged = findings.filter(
        ({ severity = '', id = '' }) => !good.has(severity) && !meant.has(id),
      );
      expect(flagged).toEqual([]);
      const told = (id: string) => findings.find((one) => one['id'] === id)?.['finding'];
      expect(told('TLS1_3')).toContain('offered');
      for (const id of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2']) {
        expect(told(id)).toContain('not offered');
      }
      expect(told('sessionresumption_ticket') ?? 'not supported').toBe('not supported');
    }, 300_000);
  },
);

/** What became of a TLS connection, from its client's side. */
function refusal(port: number, options: tls.ConnectionOptions): Promise<string> {
  const socket = tls.connect({ port, host: loopback, rejectUnauthorized: false, ...options });
  return new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.on('data', (bytes) => resolve(bytes.toString()));
    socket.on('close', () => resolve('closed'));
  });
}

/** Would take anything. */
const weak = { ciphers: 'ALL:@SECLEVEL=0', minVersion: 'TLSv1' } as const;
const tooOld = /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/;

describe('discovery', () => {
  const attempt = (options: tls.ConnectionOptions) => refusal(ports.discovery, options);

  it('speaks nothing older than TLS 1.3', async () => {
    for (const maxVersion of ['TLSv1', 'TLSv1.1', 'TLSv1.2'] as const) {
      const code = await attempt({ ...weak, maxVersion, ALPNProtocols: ['h2'] });
      expect(code).toMatch(tooOld);
    }
  });

  it('lets nobody in without a certificate', async () => {
    expect(await attempt({ ALPNProtocols: ['h2'] })).toMatch(/CERTIFICATE_REQUIRED/);
  });
});

describe('a sidecar under STRICT as a process', () => {
  let pair: ProcessPair;
  let port: number;
  beforeAll(async () => {
    const app = createServer((socket) => socket.end('app'));
    closers.push(() => app.close());
    const address = await listenOn(app);
    pair = await startProcessPair({ apps: [{ name: 'app', protocol: 'tcp', address }] });
    closers.push(() => pair.close());
    port = pair.inbound['app']!;
  }, 60_000);

  const attempt = (options: tls.ConnectionOptions) => refusal(port, options);

  it.each(Object.values(alpn))(
    'speaks nothing older than TLS 1.3 to who offers %s',
    async (one) => {
      for (const maxVersion of ['TLSv1', 'TLSv1.1', 'TLSv1.2'] as const) {
        const code = await attempt({ ...weak, maxVersion, ALPNProtocols: [one] });
        expect(code).toMatch(tooOld);
      }
    },
  );

  it.each(Object.values(alpn))(
    'lets nobody in who offers %s without a certificate',
    async (one) => {
      const before = await pair.callee.metric('tsmesh_errors_total', 'UTLS');
      expect(await attempt({ ALPNProtocols: [one] })).toMatch(/CERTIFICATE_REQUIRED/);
      expect(await pair.callee.metric('tsmesh_errors_total', 'UTLS')).toBe(before + 1);
    },
  );

  it('shows no TLS at all to who offers no protocol of the mesh', async () => {
    const { result } = await scan(port);
    expect(result.connectivity_status).toBe('ERROR');
    expect(await attempt({ ALPNProtocols: ['h2', 'http/1.1'] })).toBe('ECONNRESET');
  }, 90_000);
});
