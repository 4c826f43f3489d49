// The discovery server: one gRPC stream per sidecar over mutual TLS, relays between replicas, and what of
// all of them the statuses need. Composes calls, streams and the table; owns the listener.

import { createSecureServer } from 'node:http2';
import type { Http2SecureServer, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { discoveryMethod, relayMethod } from '../../proxy/api/discovery.ts';
import { guardConnections } from '../../proxy/api/connection-guard.ts';
import { meshTls } from '../../proxy/api/tls.ts';
import type { Trust } from '../ca/trust.ts';
import type { Change, ObjectKey, View } from '../model/view.ts';
import { objectKey } from '../model/view.ts';
import type { Timer } from '../resources/clock.ts';
import { trustDomainOf } from '../translate/mesh-settings.ts';
import type { TranslationKey } from '../translate/translations.ts';
import type { DiscoveryDeps, DiscoveryServer, Leader } from './api.ts';
import { Call, peerOf, refuseStream, type HeldBytes } from './call.ts';
import { watchSession } from './keepalive.ts';
import { maxRelayMessageBytes } from './relay-messages.ts';
import { RelayClient } from './relay-client.ts';
import { RelayStream } from './relay-stream.ts';
import { refusal, refusalKinds } from './refusals.ts';
import type { Refusal } from './refusals.ts';
import { createRateLimits } from './rate-limit.ts';
import { SidecarStream, nameRate } from './sidecar-stream.ts';
import type { StreamState } from './stream-state.ts';
import { StreamTable, podOf } from './stream-table.ts';

/** A Hello with thousands of held versions; everything else is far smaller. */
const maxSidecarMessageBytes = 4 << 20;
/** One sidecar needs one stream; while it renews, two. */
const maxStreamsPerConnection = 4;
const handshakeTimeoutMs = 5_000;
/** One per sidecar; each holds some 100 KiB. */
const connectionLimits = {
  total: 20_000,
  /** A pod has one sidecar with one connection; two while it renews, and those not yet known to be dead. */
  perAddress: 8,
  /** A sidecar tries every 10 s at the latest, sooner at first; a pod's address can pass to the next pod. */
  rate: { perSecond: 1, burst: 60 },
};
/** Whose use of the operator is remembered over their connections. */
const maxAddresses = 20_000;
/** Changes of streams are gathered this long before anyone is told. */
const gatherMs = 10;
/** Sidecars that were asked to reconnect have this long. */
const closeGraceMs = 1000;
/** What a new sidecar is sent unasked at most. */
const maxWarmNames = 512;

export function createDiscoveryServer(deps: DiscoveryDeps): DiscoveryServer {
  return new Discovery(deps);
}

class Discovery implements DiscoveryServer {
  readonly #deps: DiscoveryDeps;
  readonly #server: Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #streams = new Set<SidecarStream>();
  readonly #byPod = new Map<ObjectKey, SidecarStream>();
  readonly #interested = new Map<TranslationKey, Set<SidecarStream>>();
  readonly #interests = new Map<SidecarStream, ReadonlySet<TranslationKey>>();
  readonly #table = new StreamTable();
  readonly #namesOf = createRateLimits(nameRate, maxAddresses);
  readonly #held: HeldBytes = { bytes: 0 };
  readonly #relays = new Map<string, RelayStream>();
  readonly #listeners = new Set<() => void>();
  readonly #stopIdentity: () => void;
  #relay: { address: string; client: RelayClient } | null = null;
  #gather: Timer | null = null;

  constructor(deps: DiscoveryDeps) {
    this.#deps = deps;
    this.#server = createSecureServer({
      ...this.#secureContext(),
      allowHTTP1: false,
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: handshakeTimeoutMs,
      settings: { maxConcurrentStreams: maxStreamsPerConnection, initialWindowSize: 256 << 10 },
      maxSessionMemory: 64,
    });
    guardConnections(
      this.#server,
      { ...connectionLimits, ...deps.connections },
      {
        nowMs: () => deps.clock.nowMs(),
        onRefused: (reason, address) =>
          deps.log('warn', 'refused a discovery connection', { reason, address }),
      },
    );
    this.#stopIdentity = deps.identity.onChange(() => {
      this.#server.setSecureContext(this.#secureContext());
      this.#relay?.client.identityChanged();
    });
    this.#server.on('session', (session) => this.#onSession(session));
    this.#server.on('stream', (stream, headers) => {
      this.#onStream(stream as ServerHttp2Stream, headers[':path'] ?? '');
    });
    this.#server.on('tlsClientError', (error, socket) => {
      deps.log('info', 'discovery handshake failed', {
        reason: error.message,
        address: socket.remoteAddress,
      });
    });
    this.#server.on('sessionError', (error: Error) => {
      deps.log('debug', 'discovery connection failed', { reason: error.message });
    });
  }

  listen(port: number, host?: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // Without a host Node takes both families, or IPv4 alone where the kernel has no IPv6.
      this.#server.listen({ port, ...(host !== undefined && { host }) }, () => {
        this.#server.off('error', reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  onView(view: View, change: Change): void {
    const touched = this.#deps.translations.advance(view, change);
    // Of what was forgotten nobody can say whether it changed.
    const due = new Set(this.#deps.translations.takeForgotten() ? this.#streams : []);
    for (const key of touched) {
      for (const stream of this.#interested.get(key) ?? []) due.add(stream);
    }
    for (const key of change.keys) {
      const stream = key.startsWith('pod:') ? this.#byPod.get(key.slice(4)) : undefined;
      if (stream !== undefined) due.add(stream);
    }
    for (const stream of this.#streams) {
      if (stream.session === null) due.add(stream);
    }
    for (const stream of due) stream.refresh();
    this.#relay?.client.viewChanged();
  }

  streams(): StreamState[] {
    return this.#table.merged([...this.#ownStates().values()]);
  }

  observed(): ReadonlyMap<string, ReadonlyMap<string, string>> {
    return this.#table.observed();
  }

  replicaTrust(): ReadonlyMap<string, Trust | null> {
    return this.#table.trust();
  }

  onStreamsChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  setLeader(leader: Leader): void {
    const address = leader === null || leader.self ? null : leader.address;
    if ((this.#relay?.address ?? null) === address) return;
    this.#relay?.client.close();
    this.#relay = address === null ? null : { address, client: this.#relayTo(address) };
  }

  async close(): Promise<void> {
    this.#stopIdentity();
    this.#relay?.client.close();
    // Only the listener: http2's own close would say GOAWAY before sidecars are connected elsewhere.
    const closed = new Promise<void>((resolve) => {
      Server.prototype.close.call(this.#server, () => resolve());
    });
    for (const stream of this.#streams) stream.askToReconnect();
    if (this.#streams.size > 0) await this.#grace();
    const reason = refusal('shutting-down', 'this replica of the operator is going');
    for (const stream of [...this.#streams, ...this.#relays.values()]) stream.end(reason);
    for (const session of this.#sessions) session.close();
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (const session of this.#sessions) session.destroy();
    this.#gather?.cancel();
    await closed;
  }

  /** Until the grace is over or all are gone. */
  #grace(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#deps.clock.after(closeGraceMs, resolve);
      this.#listeners.add(() => {
        if (this.#streams.size > 0) return;
        timer.cancel();
        resolve();
      });
    });
  }

  #secureContext(): object {
    const material = this.#deps.identity.current();
    if (material === null) return meshTls;
    return { ...meshTls, cert: material.chainPem, key: material.keyPem, ca: material.rootsPem };
  }

  #onSession(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on('error', () => undefined);
    session.once('close', () => this.#sessions.delete(session));
    watchSession(session, this.#deps.clock);
  }

  #onStream(stream: ServerHttp2Stream, path: string): void {
    const { clock } = this.#deps;
    const held = this.#held;
    const socket = stream.session?.socket as TLSSocket | undefined;
    // A resumed TLS session would skip the checks of a changed set of roots; sidecars do not resume.
    const known = socket === undefined || socket.isSessionReused() ? null : peerOf(socket);
    if (known === null) {
      const words = 'the certificate names no identity of a mesh (exactly one SPIFFE id)';
      return refuseStream(stream, refusal('no-identity', words), clock);
    }
    if (path === discoveryMethod) {
      const options = { ...known, clock, held, maxMessageBytes: maxSidecarMessageBytes };
      new Call(stream, options, (call) => {
        const sidecar = new SidecarStream(call, this.#streamHost());
        this.#streams.add(sidecar);
        return sidecar;
      });
    } else if (path === relayMethod) {
      const options = { ...known, clock, held, maxMessageBytes: maxRelayMessageBytes };
      new Call(stream, options, (call) => new RelayStream(call, this.#relayHost()));
    } else {
      const words = `there is no method ${path.slice(0, 100)}`;
      refuseStream(stream, refusal('no-such-method', words), clock);
    }
  }

  #streamHost(): ConstructorParameters<typeof SidecarStream>[1] {
    return {
      deps: this.#deps,
      view: () => this.#deps.translations.view,
      namesOf: this.#namesOf,
      onReady: (stream) => this.#onReady(stream),
      onInterests: (stream) => this.#onInterests(stream),
      onChanged: (stream, what) => this.#onChanged(stream, what),
      onClosed: (stream, refused) => this.#onClosed(stream, refused),
    };
  }

  #relayHost(): ConstructorParameters<typeof RelayStream>[1] {
    return {
      table: this.#table,
      relays: this.#relays,
      trustDomain: () => trustDomainOf(this.#deps.translations.view),
      onChanged: () => this.#tell(),
      onClosed: (_stream, refused) => this.#noteRefusal(refused),
    };
  }

  #relayTo(address: string): RelayClient {
    const view = () => this.#deps.translations.view;
    return new RelayClient(this.#deps, { view, own: () => this.#ownStates() }, address);
  }

  #ownStates(): Map<ObjectKey, StreamState> {
    const states = new Map<ObjectKey, StreamState>();
    for (const [pod, stream] of this.#byPod) {
      const state = stream.state();
      if (state !== null) states.set(pod, state);
    }
    return states;
  }

  #onReady(stream: SidecarStream): string[] {
    const session = stream.session!;
    const older = this.#byPod.get(session.pod);
    if (older?.session != null) session.doubt(older.session);
    if (older !== undefined) this.#setInterests(older, new Set());
    older?.replace();
    this.#byPod.set(session.pod, stream);
    this.#deps.metrics.streamsOpened += 1;
    this.#deps.metrics.streams = this.#byPod.size;
    this.#deps.log('debug', 'sidecar connected', { pod: session.pod });
    return this.#warmNames(session.pod);
  }

  /** What the other pods of the same workload use. */
  #warmNames(pod: ObjectKey): string[] {
    const { pods } = this.#deps.translations.view;
    const me = pods.get(pod);
    const names = new Set<string>();
    for (const stream of this.streams()) {
      const other = pods.get(objectKey(stream.pod.namespace, stream.pod.name));
      if (other?.workload !== me?.workload || other?.namespace !== me?.namespace) continue;
      if (podOf(stream) === pod) continue;
      for (const name of stream.subscriptions) {
        if (names.size < maxWarmNames) names.add(name);
      }
    }
    return [...names];
  }

  #onChanged(stream: SidecarStream, what: 'resources' | 'statistics'): void {
    const session = stream.session!;
    if (this.#byPod.get(session.pod) !== stream) return;
    this.#relay?.client.changed(session.pod, what);
    if (what === 'resources') this.#tell();
  }

  #onInterests(stream: SidecarStream): void {
    const session = stream.session!;
    if (this.#byPod.get(session.pod) === stream) this.#setInterests(stream, session.interests);
  }

  #setInterests(stream: SidecarStream, next: ReadonlySet<TranslationKey>): void {
    const previous = this.#interests.get(stream) ?? new Set();
    if (previous === next) return;
    for (const key of previous) {
      if (next.has(key)) continue;
      const streams = this.#interested.get(key);
      streams?.delete(stream);
      if (streams?.size === 0) this.#interested.delete(key);
    }
    for (const key of next) {
      const streams = this.#interested.get(key);
      if (streams === undefined) this.#interested.set(key, new Set([stream]));
      else streams.add(stream);
    }
    if (next.size === 0) this.#interests.delete(stream);
    else this.#interests.set(stream, next);
  }

  #onClosed(stream: SidecarStream, refused: Refusal | null): void {
    this.#streams.delete(stream);
    this.#setInterests(stream, new Set());
    this.#noteRefusal(refused);
    const pod = stream.session?.pod;
    if (pod === undefined || this.#byPod.get(pod) !== stream) return;
    this.#byPod.delete(pod);
    this.#deps.metrics.streams = this.#byPod.size;
    this.#deps.log('debug', 'sidecar disconnected', { pod });
    this.#relay?.client.changed(pod, 'resources');
    this.#tell();
  }

  #noteRefusal(refused: Refusal | null): void {
    if (refused === null) return;
    const { status, level } = refusalKinds[refused.code];
    if (status === 'OK') return;
    const counts = this.#deps.metrics.streamsRefused;
    counts.set(status, (counts.get(status) ?? 0) + 1);
    this.#deps.log(level, 'discovery stream ended', { ...refused });
  }

  #tell(): void {
    this.#gather ??= this.#deps.clock.after(gatherMs, () => {
      this.#gather = null;
      for (const listener of this.#listeners) listener();
    });
  }
}
