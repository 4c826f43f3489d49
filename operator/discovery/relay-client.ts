// Passes this replica's streams on to the leader: everything when connected, then what changed, gathered.
// When the leader does not keep up or goes away, it begins again.

import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { PeerCertificate } from 'node:tls';
import { relayMethod } from '../../proxy/api/discovery.ts';
import { operatorServiceAccount } from '../ca/operator-identity.ts';
import { trustOf } from '../ca/trust.ts';
import type { TlsMaterial } from '../ca/types.ts';
import { systemNamespace } from '../../proxy/api/constants.ts';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { meshTls } from '../../proxy/api/tls.ts';
import type { ObjectKey, View } from '../model/view.ts';
import type { Timer } from '../resources/clock.ts';
import { trustDomainOf } from '../translate/mesh-settings.ts';
import type { DiscoveryDeps } from './api.ts';
import { encodeFrame } from './frames.ts';
import { observedPolicies, streamsPerMessage } from './relay-messages.ts';
import type { RelayMessage } from './relay-messages.ts';
import type { StreamState } from './stream-state.ts';

export interface RelaySource {
  view(): View;
  own(): ReadonlyMap<ObjectKey, StreamState>;
}

/** Changes are gathered this long. */
const gatherMs = 20;
const firstRetryMs = 200;
const maxRetryMs = 5000;
/** A leader that reads slower than this is begun again with, later. */
const maxQueuedBytes = 64 << 20;

export class RelayClient {
  readonly #deps: DiscoveryDeps;
  readonly #source: RelaySource;
  readonly #address: string;
  #session: ClientHttp2Session | null = null;
  #stream: ClientHttp2Stream | null = null;
  #retryMs = firstRetryMs;
  #timer: Timer | null = null;
  #gather: Timer | null = null;
  #observed = '';
  /** The certificate of which the leader was told. */
  #told: TlsMaterial | null = null;
  #closed = false;
  readonly #dirty = new Map<ObjectKey, 'resources' | 'statistics'>();

  constructor(deps: DiscoveryDeps, source: RelaySource, address: string) {
    this.#deps = deps;
    this.#source = source;
    this.#address = address;
    this.#connect();
  }

  /** The stream of this pod changed, or ended. */
  changed(pod: ObjectKey, what: 'resources' | 'statistics'): void {
    if (this.#dirty.get(pod) !== 'resources') this.#dirty.set(pod, what);
    this.#soon();
  }

  identityChanged(): void {
    this.#soon();
  }

  viewChanged(): void {
    this.#soon();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#gather?.cancel();
    this.#session?.destroy();
  }

  #connect(): void {
    if (this.#closed) return;
    try {
      this.#open();
    } catch (error) {
      this.#retry((error as Error).message);
    }
  }

  /** Throws where address or certificate make no sense. */
  #open(): void {
    const material = this.#deps.identity.current();
    if (material === null) return this.#retry('no certificate yet');
    const session = connect(`https://${this.#address}`, {
      ...meshTls,
      cert: material.chainPem,
      key: material.keyPem,
      ca: material.rootsPem,
      servername: '',
      checkServerIdentity: (_host, certificate) => this.#checkLeader(certificate),
    });
    this.#session = session;
    let reason = 'connection closed';
    session.on('error', (error) => (reason = error.message));
    session.once('close', () => this.#lost(session, reason));
    const stream = session.request({
      ':method': 'POST',
      ':path': relayMethod,
      'content-type': 'application/grpc+json',
      te: 'trailers',
    });
    stream.on('error', (error) => (reason = error.message));
    stream.once('response', (headers) => {
      if (headers['grpc-status'] === undefined) return this.#begin(stream);
      reason = `gRPC status ${String(headers['grpc-status'])} ${String(headers['grpc-message'])}`;
    });
    stream.once('close', () => session.destroy());
    stream.resume();
    stream.write(encodeFrame(JSON.stringify({ hello: { replica: this.#deps.replica } })));
  }

  #checkLeader(certificate: PeerCertificate): Error | undefined {
    const expected = formatSpiffeId({
      trustDomain: trustDomainOf(this.#source.view()),
      namespace: systemNamespace,
      serviceAccount: operatorServiceAccount,
    });
    const names = (certificate.subjectaltname ?? '').split(', ');
    if (names.includes(`URI:${expected}`)) return undefined;
    return new Error(`the leader at ${this.#address} did not prove to be ${expected}`);
  }

  /** The leader knows nothing of this replica yet. */
  #begin(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    this.#retryMs = firstRetryMs;
    this.#dirty.clear();
    this.#observed = '';
    this.#told = null;
    const own = [...this.#source.own().values()];
    for (let at = 0; at < own.length; at += streamsPerMessage) {
      this.#send({ streams: own.slice(at, at + streamsPerMessage) });
    }
    this.#flush();
    this.#deps.log('info', 'relaying streams to the leader', { leader: this.#address });
  }

  #lost(session: ClientHttp2Session, reason: string): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.#stream = null;
    this.#retry(reason);
  }

  #retry(reason: string): void {
    if (this.#closed) return;
    const detail = { leader: this.#address, reason, retryMs: this.#retryMs };
    this.#deps.log('info', 'not relaying to the leader', detail);
    this.#timer = this.#deps.clock.after(this.#retryMs, () => this.#connect());
    this.#retryMs = Math.min(this.#retryMs * 2, maxRetryMs);
  }

  #soon(): void {
    if (this.#stream === null || this.#gather !== null) return;
    this.#gather = this.#deps.clock.after(gatherMs, () => this.#flush());
  }

  #flush(): void {
    this.#gather?.cancel();
    this.#gather = null;
    if (this.#stream === null) return;
    const own = this.#source.own();
    const message: RelayMessage = { streams: [], statistics: [], gone: [] };
    for (const [pod, what] of this.#dirty) {
      const state = own.get(pod);
      if (state === undefined) message.gone!.push(pod);
      else if (what === 'resources') message.streams!.push(state);
      else {
        const { statistics, statisticsAtMs } = state;
        message.statistics!.push({ pod, statistics, statisticsAtMs });
      }
    }
    this.#dirty.clear();
    const observed = observedPolicies(this.#source.view());
    const text = JSON.stringify(observed);
    if (text !== this.#observed) message.observed = observed;
    this.#observed = text;
    this.#addTrust(message);
    this.#send(message);
  }

  #addTrust(message: RelayMessage): void {
    const material = this.#deps.identity.current();
    if (material === null) return;
    if (material !== this.#told) message.trust = trustOf(material);
    this.#told = material;
  }

  #send(message: RelayMessage): void {
    this.#stream?.write(encodeFrame(JSON.stringify(message)));
    if ((this.#stream?.writableLength ?? 0) > maxQueuedBytes) this.#session?.destroy();
  }
}
