// Opens the upstream side of an opaque connection: chooses an endpoint, dials it, tries another where
// that fails (nothing was sent yet). It carries no bytes.

import { alpn } from '../api/constants.ts';
import type { ProxyErrorCode } from '../errors.ts';
import type { IdentityStore } from '../identity/store.ts';
import { Dial } from '../net/dial.ts';
import type { Io, Link } from '../net/link.ts';
import type { DestinationUse } from '../policy/limits.ts';
import { chooseEndpoint, fail, joinLoad, leaveLoad } from '../policy/load.ts';
import { beginProbe, endProbe } from '../policy/outlier.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { limitReply } from './limits.ts';

export interface OpenListener {
  onOpen(link: Link, endpoint: EndpointHandle): void;
  onFailed(code: ProxyErrorCode, detail: string): void;
}

export interface OpenDeps {
  io: Io;
  identity: IdentityStore;
  random: () => number;
  /** As a policy says; absent: the one with the least to do. */
  choose?: ((tried: readonly EndpointHandle[], nowMs: number) => EndpointHandle | null) | undefined;
  /** Of each attempt; absent or null: the one of net/dial. */
  connectTimeoutMs?: number | null;
  /** What connections count against; absent or null: nothing. */
  use?: DestinationUse | null;
  /** A connection to it was opened, which its user tells once it carries what it was opened for, or could not be. */
  onResult?: (endpoint: EndpointHandle, opened: boolean) => void;
  /** An endpoint proved another identity, and another endpoint is tried. */
  onMismatch?: (detail: string) => void;
}

const maxAttempts = 3;

export class OpenUpstream {
  private readonly deps: OpenDeps;
  private readonly endpoints: readonly EndpointHandle[];
  private readonly listener: OpenListener;
  private dial: Dial | null = null;
  /** Counted as in use while it is dialled. */
  private dialled: EndpointHandle | null = null;
  /** It was left out, and this connection finds out whether it is well again. */
  private probes = false;
  private readonly tried: EndpointHandle[] = [];

  constructor(deps: OpenDeps, endpoints: readonly EndpointHandle[], listener: OpenListener) {
    this.deps = deps;
    this.endpoints = endpoints;
    this.listener = listener;
  }

  /** The listener may be called before it returns. */
  start(): void {
    this.tryNext();
  }

  cancel(): void {
    this.dial?.cancel();
    this.dial = null;
    if (this.dialled === null) return;
    this.leave(this.dialled);
    this.deps.use?.endConnection();
  }

  /** It is not dialled any more. */
  private leave({ load }: EndpointHandle): void {
    leaveLoad(load);
    if (this.probes) endProbe(load);
    this.probes = false;
    this.dialled = null;
  }

  private tryNext(): void {
    const { io, identity, random, choose } = this.deps;
    const nowMs = io.clock.nowMs();
    const endpoint =
      choose === undefined
        ? chooseEndpoint(this.endpoints, this.tried, random, nowMs)
        : choose(this.tried, nowMs);
    if (endpoint === null) {
      this.listener.onFailed('no-endpoints', '');
      return;
    }
    const own = identity.current();
    if (endpoint.identity !== null && own === null) {
      this.listener.onFailed('no-identity', '');
      return;
    }
    const use = this.deps.use ?? null;
    if (use?.takeConnection() === false) {
      this.listener.onFailed('destination-limit', limitReply(use, 'maxConnections').detail);
      return;
    }
    this.dial = this.dialTo(endpoint, own, nowMs);
  }

  private dialTo(
    endpoint: EndpointHandle,
    own: ReturnType<IdentityStore['current']>,
    nowMs: number,
  ): Dial {
    const { address, port, identity: expected } = endpoint;
    const { io, use } = this.deps;
    const mesh =
      expected === null || own === null ? null : { identity: own, expected, alpn: alpn.tcp };
    this.tried.push(endpoint);
    joinLoad(endpoint.load, nowMs);
    this.dialled = endpoint;
    this.probes = beginProbe(endpoint.load, nowMs);
    const timeoutMs = this.deps.connectTimeoutMs ?? null;
    return new Dial({ address, port, mesh, timeoutMs }, io, {
      onConnected: (link) => {
        this.dial = null;
        // A connection counts as a request does, as long as it is open.
        joinLoad(endpoint.load, nowMs);
        this.leave(endpoint);
        link.raw.once('close', () => {
          leaveLoad(endpoint.load);
          use?.endConnection();
        });
        this.listener.onOpen(link, endpoint);
      },
      onFailed: (code, detail) => this.onFailed(endpoint, code, detail),
    });
  }

  private onFailed(endpoint: EndpointHandle, code: ProxyErrorCode, detail: string): void {
    this.dial = null;
    this.leave(endpoint);
    this.deps.use?.endConnection();
    this.deps.onResult?.(endpoint, false);
    fail(endpoint.load, this.deps.io.clock.nowMs(), false);
    if (this.tried.length >= maxAttempts || this.endpoints.length < 2) {
      this.listener.onFailed(code, detail);
      return;
    }
    if (code === 'identity-mismatch') this.deps.onMismatch?.(detail);
    this.tryNext();
  }
}
