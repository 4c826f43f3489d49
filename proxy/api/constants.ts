// The fixed names, ports and ids that operator and sidecar agree on. Values only, no behaviour.

/** API group and version of every tsmesh resource. */
export const apiGroup = 'tsmesh.dev';
export const apiVersion = 'v1alpha1';
export const systemNamespace = 'tsmesh-system';

/** User and group id of the sidecar; its own traffic is told from the app's by it. */
export const proxyUserId = 15086;

/** Ports of the sidecar. An app or a peer never reaches them through the proxy. */
export const ports = {
  outboundCapture: 15001,
  inboundCapture: 15006,
  /** Health, metrics, rewritten probes and drain hook. */
  health: 15020,
} as const;

/** Ports of the operator. */
export const operatorPorts = {
  webhook: 9443,
  discovery: 15012,
  health: 8080,
  /** On its own loopback only: reached by port-forward, whose rights are the cluster's to give. */
  console: 15030,
} as const;

/**
 * ALPN values of the mesh (RFC 7301). A ClientHello that offers one of them comes from a sidecar:
 * HTTP requests as HTTP/2 streams, or the bytes of one TCP connection.
 */
export const alpn = { http: 'tsmesh-h2', tcp: 'tsmesh-tcp' } as const;

/** Where the sidecar finds what Kubernetes mounts for it. */
export const paths = {
  identity: '/var/run/tsmesh/identity',
  state: '/var/lib/tsmesh',
  admin: '/var/lib/tsmesh/admin.sock',
} as const;

/** In the sidecar's image, which holds no shell: asks the admin socket. */
export const adminProgram = ['/usr/bin/node', '/app/main.mjs', 'admin'] as const;

/** Keys of an identity Secret (all PEM): leaf with intermediates, PKCS#8 key, trusted roots. */
export const identityKeys = { chain: 'tls.crt', key: 'tls.key', roots: 'ca.crt' } as const;
export const identitySecretType = 'tsmesh.dev/identity';

export const containerNames = { init: 'tsmesh-init', proxy: 'tsmesh-proxy' } as const;

/** Headers the mesh writes; stripped from whatever comes from outside of it. */
export const headers = {
  deniedBy: 'tsmesh-denied-by',
  clientIdentity: 'tsmesh-client-identity',
  requestId: 'x-request-id',
} as const;
