// How every TLS context of the mesh is made, sidecar and operator alike. Values only.

import { constants } from 'node:crypto';

export const meshTls = {
  minVersion: 'TLSv1.3',
  // Mozilla's "modern" list. Left out of OpenSSL's own: X448, P-521 and finite fields, which nobody here needs.
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
  // No session is resumed: a resumed one asks neither whether the peer's certificate still runs nor whether its
  // root is still trusted. Connections between sidecars live long, so there is little to win.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;
