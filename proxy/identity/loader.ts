// Keeps the identity in step with the mounted directory: loads, checks, swaps. Bad material changes
// nothing: the last good identity stays, and the log says once why.

import { createHash } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { identityKeys } from '../api/constants.ts';
import type { SpiffeParts } from '../api/spiffe.ts';
import type { Clock, Timer } from '../net/clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import { checkIdentity, type CheckedIdentity, type IdentityMaterial } from './certificate.ts';
import { secureContextOf } from './secure-context.ts';
import type { IdentityHolder } from './store.ts';

export interface LoaderDeps {
  directory: string;
  expected: SpiffeParts | null;
  holder: IdentityHolder;
  clock: Clock;
  logger: Logger;
  /** Others that use the same identity: `done` once all of them do; only then does the holder swap. */
  share?: (material: IdentityMaterial, checked: CheckedIdentity, done: () => void) => void;
}

export interface IdentityLoader {
  /** Why the files on disk are not in force; null where they are. */
  problem(): string | null;
  /** Looks now; resolves when what was found is in force or refused. */
  reload(): Promise<void>;
  stop(): void;
}

/** For what inotify misses, and for material that becomes valid by time alone. */
const pollMs = 5000;
/** The kubelet replaces the link once; other writers may touch three files one after the other. */
const settleMs = 50;
/** A Secret holds at most 1 MiB. */
const maxFileBytes = 1 << 20;

class Loader implements IdentityLoader {
  private readonly deps: LoaderDeps;
  private watcher: FSWatcher | null = null;
  private timer: Timer | null = null;
  private running: Promise<void> | null = null;
  private stopped = false;
  /** Something changed while files were being read: what was read may be old already. */
  private changedMeanwhile = false;
  private inForce = '';
  private reason: string | null = 'not loaded yet';

  constructor(deps: LoaderDeps) {
    this.deps = deps;
  }

  problem(): string | null {
    return this.reason;
  }

  reload(): Promise<void> {
    this.running ??= this.load().finally(() => {
      this.running = null;
      this.arm(this.changedMeanwhile ? settleMs : pollMs);
      this.changedMeanwhile = false;
    });
    return this.running;
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.watcher?.close();
  }

  private arm(delayMs: number): void {
    this.timer?.cancel();
    if (this.stopped) return;
    this.timer = this.deps.clock.after(delayMs, () => void this.reload());
  }

  private async load(): Promise<void> {
    this.watch();
    try {
      this.take(await readMaterial(this.deps.directory));
    } catch (error) {
      this.refuse(`cannot be read: ${(error as Error).message}`);
    }
  }

  /** The directory may appear later than the sidecar; watching is tried again at each poll. */
  private watch(): void {
    if (this.watcher !== null || this.stopped) return;
    try {
      this.watcher = watch(this.deps.directory, { persistent: false }, () => this.onEvent());
      this.watcher.on('error', () => {
        this.watcher?.close();
        this.watcher = null;
      });
    } catch {
      this.watcher = null;
    }
  }

  private onEvent(): void {
    if (this.running === null) this.arm(settleMs);
    else this.changedMeanwhile = true;
  }

  private take(material: IdentityMaterial): void {
    const { expected, holder, clock, logger } = this.deps;
    const print = fingerprint(material);
    if (print === this.inForce && this.reason === null) return;
    const verdict = checkIdentity(material, expected, clock.wallTimeMs());
    if (!verdict.ok) return this.refuse(verdict.reason);
    this.reason = null;
    if (print === this.inForce) return;
    // Made before anybody is told, so that what OpenSSL refuses is refused for all.
    const secureContext = secureContextOf(material);
    this.inForce = print;
    const swap = (): void => {
      const { rootsPem } = material;
      const identity = holder.swap({ secureContext, rootsPem, ...verdict.identity });
      logger.info('certificate in force', {
        spiffeId: identity.spiffeId,
        serial: identity.serial,
        notAfter: new Date(identity.notAfterMs).toISOString(),
      });
    };
    if (this.deps.share === undefined) swap();
    else this.deps.share(material, verdict.identity, swap);
  }

  private refuse(reason: string): void {
    if (reason === this.reason) return;
    this.reason = reason;
    const held = this.deps.holder.current();
    this.deps.logger.error('identity files refused', {
      directory: this.deps.directory,
      reason,
      stillInForce: held === null ? null : held.serial,
    });
  }
}

/** Call `reload` once and wait for it; then it looks after itself until `stop`. */
export function createIdentityLoader(deps: LoaderDeps): IdentityLoader {
  return new Loader(deps);
}

function fingerprint(material: IdentityMaterial): string {
  const hash = createHash('sha256');
  for (const part of [material.chainPem, material.keyPem, material.rootsPem]) {
    hash.update(part).update('\0');
  }
  return hash.digest('base64');
}

/** All three files of one version: the kubelet's `..data` link is resolved once. */
async function readMaterial(directory: string): Promise<IdentityMaterial> {
  const version = await readlink(join(directory, '..data')).catch(() => '.');
  const read = async (name: string): Promise<string> => {
    const content = await readFile(join(directory, version, name), 'utf8');
    if (content.length > maxFileBytes) throw new Error(`${name} is larger than a Secret can be`);
    return content;
  };
  const [chainPem, keyPem, rootsPem] = await Promise.all([
    read(identityKeys.chain),
    read(identityKeys.key),
    read(identityKeys.roots),
  ]);
  return { chainPem, keyPem, rootsPem };
}
