// The TLS context of an identity: chain, key and roots in one, TLS 1.3 only. It checks nothing.

import { createSecureContext, type SecureContext } from 'node:tls';
import { meshTls } from '../api/tls.ts';
import type { IdentityMaterial } from './certificate.ts';

export function secureContextOf({ chainPem, keyPem, rootsPem }: IdentityMaterial): SecureContext {
  return createSecureContext({ ...meshTls, cert: chainPem, key: keyPem, ca: rootsPem });
}
