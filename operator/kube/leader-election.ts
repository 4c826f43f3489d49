// Leader election by Lease (coordination.k8s.io/v1), with the rules of client-go: a lease that has not
// changed for its whole duration, by this replica's own monotonic clock, may be taken over. The holder's
// identity carries its pod address, so that the others find it.

import { ApiError, type ApiClient } from '../resources/api-client.ts';
import type { Clock, Timer } from '../resources/clock.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { errorText, type Logger } from '../resources/logger.ts';
import { pause } from '../runtime/clock.ts';

export interface LeaseObject extends KubeObject {
  spec?: {
    holderIdentity?: string | null;
    leaseDurationSeconds?: number | null;
    acquireTime?: string | null;
    renewTime?: string | null;
    leaseTransitions?: number | null;
  };
}

export interface Replica {
  /** Pod name. */
  name: string;
  ip: string;
}

export interface ElectionDeps {
  api: ApiClient;
  clock: Clock;
  logger: Logger;
  random: () => number;
  self: Replica;
  lease: { namespace: string; name: string };
}

export interface ElectionListener {
  /** This replica leads from now on. */
  onLead(): void;
  /** It leads no longer: writers stop at once. */
  onLost(): void;
  /** Who leads; null while nobody does. */
  onLeader(leader: Replica | null): void;
}

/** As client-go's defaults; the leader gives up before others may take over. */
export const leaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 } as const;

const separator = '_';

export function formatHolder(replica: Replica): string {
  return `${replica.name}${separator}${replica.ip}`;
}

/** Null where the text is empty or was written by something else. */
export function parseHolder(identity: string | null | undefined): Replica | null {
  const at = identity?.lastIndexOf(separator) ?? -1;
  if (identity == null || at <= 0 || at === identity.length - 1) return null;
  return { name: identity.slice(0, at), ip: identity.slice(at + 1) };
}

export type LeaseDecision = 'acquire' | 'renew' | 'wait';

/**
 * @param unchangedMs for how long this replica has seen the lease unchanged
 */
export function decideLease(
  lease: LeaseObject | null,
  self: string,
  unchangedMs: number,
): LeaseDecision {
  const holder = lease?.spec?.holderIdentity ?? '';
  if (lease === null || holder === '') return 'acquire';
  if (holder === self) return 'renew';
  const durationMs = (lease.spec?.leaseDurationSeconds ?? 15) * 1000;
  return unchangedMs > durationMs ? 'acquire' : 'wait';
}

export class LeaderElection {
  readonly #deps: ElectionDeps;
  readonly #listener: ElectionListener;
  readonly #self: string;
  readonly #abort = new AbortController();
  #leading = false;
  /** Runs out when the lease was not renewed in time, however long a request hangs. */
  #deadline: Timer | null = null;
  #seen = { version: '', atMs: 0 };
  #leader: string | null = null;
  #done: Promise<void> = Promise.resolve();

  constructor(deps: ElectionDeps, listener: ElectionListener) {
    this.#deps = deps;
    this.#listener = listener;
    this.#self = formatHolder(deps.self);
  }

  get leading(): boolean {
    return this.#leading;
  }

  start(): void {
    this.#done = this.#loop();
  }

  /** Stops, and gives the lease away so that another replica need not wait for its end. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#done;
    const led = this.#leading;
    this.#lose();
    if (led) await this.#release();
  }

  async #loop(): Promise<void> {
    const { clock, logger, random } = this.#deps;
    while (!this.#abort.signal.aborted) {
      try {
        await this.#round();
      } catch (error) {
        logger.warn('leader election got no answer and tries again', { error: errorText(error) });
      }
      await pause(clock, leaseTimes.retryMs * (0.9 + 0.2 * random()), this.#abort.signal);
    }
  }

  async #round(): Promise<void> {
    const { api, clock, lease: place } = this.#deps;
    const lease = await api.get<LeaseObject>('Lease', place.namespace, place.name);
    const version = lease?.metadata.resourceVersion ?? '';
    if (version !== this.#seen.version) this.#seen = { version, atMs: clock.nowMs() };
    const decision = decideLease(lease, this.#self, clock.nowMs() - this.#seen.atMs);
    if (decision === 'wait') {
      this.#lose();
      this.#tellLeader(lease?.spec?.holderIdentity ?? null);
      return;
    }
    const startedMs = clock.nowMs();
    if (!(await this.#write(lease, decision))) return;
    // The lease counts from before the write: after a long one others may hold it by now.
    const leftMs = startedMs + leaseTimes.renewDeadlineMs - clock.nowMs();
    if (leftMs <= 0) return;
    this.#deadline?.cancel();
    this.#deadline = clock.after(leftMs, () => this.#lose());
    if (!this.#leading) {
      this.#leading = true;
      this.#deps.logger.info('this replica leads', { holder: this.#self });
      this.#listener.onLead();
    }
    this.#tellLeader(this.#self);
  }

  /** False where another replica wrote first. */
  async #write(lease: LeaseObject | null, decision: LeaseDecision): Promise<boolean> {
    const { api, clock, lease: place } = this.#deps;
    const now = microTime(clock.wallTimeMs());
    const taken = decision === 'acquire';
    const spec = {
      ...lease?.spec,
      holderIdentity: this.#self,
      leaseDurationSeconds: leaseTimes.durationMs / 1000,
      renewTime: now,
      ...(taken
        ? { acquireTime: now, leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + 1 }
        : {}),
    };
    try {
      if (lease === null) await api.create<LeaseObject>('Lease', { metadata: { ...place }, spec });
      else await api.replace<LeaseObject>('Lease', { ...lease, spec });
      return true;
    } catch (error) {
      const raced =
        error instanceof ApiError && (error.code === 'Conflict' || error.code === 'AlreadyExists');
      if (raced) return false;
      throw error;
    }
  }

  async #release(): Promise<void> {
    const { api, lease: place, logger } = this.#deps;
    try {
      const lease = await api.get<LeaseObject>('Lease', place.namespace, place.name);
      if (lease?.spec?.holderIdentity !== this.#self) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await api.replace<LeaseObject>('Lease', { ...lease, spec });
    } catch (error) {
      logger.warn('the lease was not given away and will run out', { error: errorText(error) });
    }
  }

  #lose(): void {
    this.#deadline?.cancel();
    this.#deadline = null;
    if (!this.#leading) return;
    this.#leading = false;
    this.#deps.logger.info('this replica leads no longer', { holder: this.#self });
    this.#listener.onLost();
    this.#tellLeader(null);
  }

  #tellLeader(identity: string | null): void {
    if (identity === this.#leader) return;
    this.#leader = identity;
    this.#listener.onLeader(parseHolder(identity));
  }
}

/** metav1.MicroTime: six digits. */
function microTime(wallTimeMs: number): string {
  return new Date(wallTimeMs).toISOString().replace('Z', '000Z');
}
