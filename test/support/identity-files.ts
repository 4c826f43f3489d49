// Test support: identity directories as the kubelet mounts them, with certificates of a test root, and
// changes to them as the kubelet makes them.

import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRoot, loadAuthority } from '../../operator/ca/authority.ts';
import type { CertificateAuthority, TlsMaterial } from '../../operator/ca/types.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';

const hourMs = 3_600_000;
export const trustDomain = 'cluster.local';

export function newAuthority(nowMs = Date.now(), lifetimeMs = 24 * hourMs): CertificateAuthority {
  const loaded = loadAuthority(createRoot(trustDomain, lifetimeMs, nowMs), nowMs);
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return loaded.authority;
}

export interface LeafOf {
  namespace?: string;
  serviceAccount: string;
  lifetimeMs?: number;
  nowMs?: number;
}

export function issue(authority: CertificateAuthority, of: LeafOf): TlsMaterial {
  const { namespace = 'shop', serviceAccount, lifetimeMs = hourMs, nowMs = Date.now() } = of;
  const uri = formatSpiffeId({ trustDomain, namespace, serviceAccount });
  return authority.issue({ uris: [uri], dnsNames: [], lifetimeMs }, nowMs);
}

export interface IdentityDirectory {
  path: string;
  /** Replaces all files at once by turning the `..data` link, as the kubelet does. */
  replace(material: Partial<TlsMaterial>): void;
  remove(): void;
}

/** Empty until the first `replace`. */
export function newIdentityDirectory(): IdentityDirectory {
  const path = mkdtempSync(join(tmpdir(), 'tsmesh-identity-'));
  return {
    path,
    replace(material) {
      const version = `..${randomBytes(4).toString('hex')}`;
      mkdirSync(join(path, version));
      const files = {
        'tls.crt': material.chainPem,
        'tls.key': material.keyPem,
        'ca.crt': material.rootsPem,
      };
      for (const [name, content] of Object.entries(files)) {
        if (content !== undefined) writeFileSync(join(path, version, name), content);
      }
      symlinkSync(version, join(path, '..data_tmp'));
      renameSync(join(path, '..data_tmp'), join(path, '..data'));
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Looks again with each turn of the event loop until it holds; fails after the time. */
export async function until(holds: () => boolean, withinMs = 5000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > end)
      throw new Error(`still not so after ${withinMs} ms: ${String(holds)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
