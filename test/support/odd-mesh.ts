// Test support: two sidecars on loopback under a root whose key the test holds, and peers that prove themselves
// with whatever certificates the test makes.

import net, { type Server } from 'node:net';
import tls, { createSecureContext } from 'node:tls';
import { alpn } from '../../proxy/api/constants.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { checkIdentity } from '../../proxy/identity/certificate.ts';
import { secureContextOf } from '../../proxy/identity/secure-context.ts';
import type { Identity } from '../../proxy/identity/store.ts';
import { listenOn } from './mesh-pair.ts';
import { oddCertificate, oddRoot, type OddCertificate } from './odd-certificates.ts';
import {
  destination,
  endpoints,
  loopback,
  service,
  startSidecar,
  workload,
  type TestSidecar,
} from './sidecar.ts';

/** What a peer sends: its key, and certificates from the leaf upwards. */
export interface Proof {
  keyPem: string;
  chainPem: string;
}

export const idOf = (serviceAccount: string): string =>
  formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'shop', serviceAccount });

/** A certificate as the mesh issues it. */
export function goodLeaf(serviceAccount: string, issuer: OddCertificate): OddCertificate {
  const parts = { commonName: serviceAccount, names: [['uri', idOf(serviceAccount)]] } as const;
  return oddCertificate(parts, issuer);
}

export function proofOf(leaf: OddCertificate, ...above: OddCertificate[]): Proof {
  return { keyPem: leaf.keyPem, chainPem: [leaf, ...above].map(({ pem }) => pem).join('') };
}

export function identityOf(proof: Proof, rootsPem: string): Omit<Identity, 'generation'> {
  const material = { ...proof, rootsPem };
  const verdict = checkIdentity(material, null, Date.now());
  if (!verdict.ok) throw new Error(verdict.reason);
  return { ...verdict.identity, rootsPem, secureContext: secureContextOf(material) };
}

/** OpenSSL would refuse to send what is too weak; who attacks would not. */
function contextOf({ keyPem, chainPem }: Proof): tls.SecureContext {
  const weak = { ciphers: 'DEFAULT@SECLEVEL=0', minVersion: 'TLSv1.3' } as const;
  return createSecureContext({ ...weak, key: keyPem, cert: chainPem });
}

export interface OddMesh {
  readonly root: OddCertificate;
  readonly caller: TestSidecar;
  readonly callee: TestSidecar;
  /** Where peers connect to. */
  readonly calleePort: number;
  /** Connections that reached the app. */
  reached(): number;
  /** Connects to the callee as a peer that proves itself so; resolves when the connection is over. */
  connectAs(proof: Proof | null, session?: Buffer): Promise<Visit>;
  /** Starts a peer that proves itself so, and has the caller's sidecar call it for `callee`. */
  serveAs(proof: Proof): Promise<void>;
  /** Has the caller's sidecar call this port of loopback for `callee`. */
  route(port: number): void;
  close(): void;
}

export interface Visit {
  text: string;
  error: string;
  session: Buffer | null;
  resumed: boolean;
}

export async function startOddMesh(): Promise<OddMesh> {
  const root = oddRoot();
  const caller = await startSidecar('caller');
  const callee = await startSidecar('callee');
  const closers: (() => void)[] = [() => caller.close(), () => callee.close()];
  caller.identity.swap(identityOf(proofOf(goodLeaf('caller', root)), root.pem));
  callee.identity.swap(identityOf(proofOf(goodLeaf('callee', root)), root.pem));
  callee.apply(workload({ mtls: 'STRICT', protocol: 'tcp' }));
  let reached = 0;
  const app = net.createServer((socket) => {
    reached += 1;
    socket.on('error', () => undefined);
    socket.end('app');
  });
  const { address, port } = await listenOn(app);
  closers.push(() => app.close());
  callee.target.inbound = { address, port };
  caller.target.outbound = service;
  const calleePort = callee.inbound.address.port;
  const route = (to: number): void => {
    const at = { address: loopback, port: to, family: 'IPv4' };
    caller.apply(workload(), destination(), endpoints(at, idOf('callee')));
  };
  route(calleePort);
  return {
    root,
    caller,
    callee,
    reached: () => reached,
    connectAs: (proof, session) => visit(calleePort, proof, session),
    async serveAs(proof) {
      const server = tlsServer(proof);
      closers.push(() => server.close());
      route((await listenOn(server)).port);
    },
    route,
    calleePort,
    close() {
      for (const close of closers) close();
    },
  };
}

function visit(port: number, proof: Proof | null, session: Buffer | undefined): Promise<Visit> {
  const result: Visit = { text: '', error: '', session: null, resumed: false };
  const socket = tls.connect({
    port,
    host: loopback,
    rejectUnauthorized: false,
    ALPNProtocols: [alpn.tcp],
    ...(proof !== null && { secureContext: contextOf(proof) }),
    ...(session !== undefined && { session }),
  });
  socket.on('secureConnect', () => (result.resumed = socket.isSessionReused()));
  socket.on('session', (given: Buffer) => (result.session ??= given));
  socket.on('data', (chunk: Buffer) => (result.text += chunk.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => (result.error = error.code ?? ''));
  return new Promise((resolve) => socket.once('close', () => resolve(result)));
}

/** Answers whoever gets through, and asks for no certificate: who attacks does not care who calls. */
function tlsServer(proof: Proof): Server {
  const secureContext = contextOf(proof);
  return net.createServer((raw) => {
    raw.on('error', () => undefined);
    const socket = new tls.TLSSocket(raw, {
      isServer: true,
      secureContext,
      ALPNProtocols: [alpn.http, alpn.tcp],
    });
    socket.on('error', () => undefined);
    socket.on('secure', () => void socket.write('peer'));
  });
}
