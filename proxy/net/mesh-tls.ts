// Mutual TLS between sidecars: TLS 1.3, the mesh's ALPN, both ends present certificates of the mesh's
// roots. It says who the peer is by the certificate it proved; what the peer may do is decided elsewhere.

import type { Socket } from 'node:net';
import { connect, TLSSocket } from 'node:tls';
import { alpn } from '../api/constants.ts';
import { parseSpiffeId } from '../api/spiffe.ts';
import { spiffeIdOf } from '../identity/certificate.ts';
import type { Identity } from '../identity/store.ts';
import type { PeerFacts } from './link.ts';

export class MeshTlsError extends Error {}

/** Starts the server side on an accepted socket, whose first bytes were put back. `secure` comes once. */
export function meshServer(raw: Socket, identity: Identity): TLSSocket {
  return new TLSSocket(raw, {
    isServer: true,
    secureContext: identity.secureContext,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [alpn.http, alpn.tcp],
  });
}

/** Starts the client side on a connected socket. */
export function meshClient(raw: Socket, identity: Identity, protocol: string): TLSSocket {
  return connect({
    socket: raw,
    secureContext: identity.secureContext,
    ALPNProtocols: [protocol],
    rejectUnauthorized: true,
    // The name of a sidecar is its SPIFFE id, which `peerFacts` reads once the chain is verified.
    checkServerIdentity: () => undefined,
  });
}

/**
 * Calls `run` once the handshake is over, and has been left: Node emits `secure` and `secureConnect` from
 * within OpenSSL's read, and a socket whose TCP socket was closed before frees its TLS state at once. Who
 * ended such a connection there (a certificate was renewed meanwhile) made OpenSSL read freed memory.
 */
export function afterHandshake(
  socket: TLSSocket,
  event: 'secure' | 'secureConnect',
  run: () => void,
): void {
  socket.once(event, () => void setImmediate(run));
}

/** After the handshake: who is there. Throws a MeshTlsError in words where it is nobody of the mesh. */
export function peerFacts(socket: TLSSocket, identity: Identity): PeerFacts {
  verifyChain(socket);
  if (socket.getProtocol() !== 'TLSv1.3') throw new MeshTlsError('not TLS 1.3');
  const negotiated = socket.alpnProtocol;
  if (negotiated !== alpn.http && negotiated !== alpn.tcp)
    throw new MeshTlsError('the peer did not agree to the protocol of the mesh');
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new MeshTlsError('the peer sent no certificate');
  // X.509-SVID §5.2: who may issue identities proves none with the same certificate. OpenSSL does not ask.
  if (certificate.ca) throw new MeshTlsError('the certificate of the peer is an authority’s');
  const id = spiffeIdOf(certificate.subjectAltName);
  if (id === null) throw new MeshTlsError('the certificate of the peer holds no SPIFFE id');
  const trustDomain = parseSpiffeId(id)?.trustDomain;
  if (trustDomain !== identity.trustDomain)
    throw new MeshTlsError(`the peer ${id} is of another trust domain`);
  return {
    id,
    notAfterMs: Math.min(certificate.validToDate.getTime(), identity.notAfterMs),
    certificateHash: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    generation: identity.generation,
    alpn: negotiated,
  };
}

/** Node checks this by itself only for sockets of a `tls.Server` and for clients. */
function verifyChain(socket: TLSSocket): void {
  if (socket.authorized) return;
  const { _handle: handle } = socket as unknown as {
    _handle: { verifyError(): NodeJS.ErrnoException | null } | null;
  };
  if (handle === null) throw new MeshTlsError('the connection closed');
  const error = handle.verifyError();
  if (error !== null && error !== undefined)
    throw new MeshTlsError(`certificate not accepted: ${tlsCause(error)}`);
}

/** Words for logs: OpenSSL's code, and what it says where that is a certificate's fault (some share one code). */
export function tlsCause({ code, message }: NodeJS.ErrnoException): string {
  if (code === undefined) return message;
  return code.startsWith('E') ? code : `${message} (${code})`;
}
