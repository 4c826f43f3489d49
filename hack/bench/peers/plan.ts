// What every pair of proxies gets to do: lanes (one kind of traffic each) with their ports, and the
// identities of both sides. Types and allocation only; each peer turns this into its own configuration.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRoot, loadAuthority } from '../../../operator/ca/authority.ts';
import { identityKeys } from '../../../proxy/api/constants.ts';
import { formatSpiffeId } from '../../../proxy/api/spiffe.ts';

export type Lane = 'get' | 'echo' | 'bulk' | 'grpc' | 'tcp';

/** The client's app connects to `entry`; the proxies speak over `mesh`; `app` is the server's app. */
export interface LanePorts {
  readonly entry: number;
  readonly mesh: number;
  readonly app: number;
}

/** Files of one identity. `bundle` is chain and key in one file, as HAProxy wants it. */
export interface IdentityFiles {
  readonly folder: string;
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
  readonly bundle: string;
  readonly spiffeId: string;
}

export interface Identities {
  readonly client: IdentityFiles;
  readonly server: IdentityFiles;
}

export type Side = keyof Identities;

export interface PairPlan {
  /** For configuration and scratch files of this pair. */
  readonly folder: string;
  readonly identities: Identities;
  readonly lanes: readonly (readonly [Lane, LanePorts])[];
  /** Where each side answers about itself, if it does. */
  readonly admin: Readonly<Record<Side, number>>;
}

export const trustDomain = 'cluster.local';
/** The name that HAProxy and nginx check; Envoy and tsmesh check the SPIFFE id. */
export const serverName = 'server.bench';

/** One authority, ECDSA P-256 leaves, for all peers. */
export function writeIdentities(folder: string): Identities {
  const nowMs = Date.now();
  const made = loadAuthority(createRoot(trustDomain, 86_400_000, nowMs), nowMs);
  if (!made.ok) throw new Error(made.problem.message);
  const { authority } = made;
  const write = (side: Side): IdentityFiles => {
    const spiffeId = formatSpiffeId({ trustDomain, namespace: 'bench', serviceAccount: side });
    const dnsNames = [`${side}.bench`];
    const leaf = authority.issue({ uris: [spiffeId], dnsNames, lifetimeMs: 86_400_000 }, nowMs);
    const own = join(folder, side);
    mkdirSync(own, { recursive: true });
    const file = (name: string, content: string): string => {
      const path = join(own, name);
      writeFileSync(path, content, { mode: 0o600 });
      return path;
    };
    return {
      folder: own,
      chain: file(identityKeys.chain, leaf.chainPem),
      key: file(identityKeys.key, leaf.keyPem),
      roots: file(identityKeys.roots, leaf.rootsPem),
      bundle: file('bundle.pem', `${leaf.chainPem}\n${leaf.keyPem}`),
      spiffeId,
    };
  };
  return { client: write('client'), server: write('server') };
}
