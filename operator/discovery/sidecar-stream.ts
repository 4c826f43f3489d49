// One sidecar on its stream: hello, then subscriptions, acknowledgements and statistics up, pushes down.
// It joins a call (bytes) and a session (what to send), with the time limits of both.

import type { Hello, UpMessage } from '../../proxy/api/discovery.ts';
import type { Statistics } from '../../proxy/api/statistics.ts';
import type { View } from '../model/view.ts';
import type { Clock, Timer } from '../resources/clock.ts';
import type { Translations } from '../translate/translations.ts';
import { admit } from './admission.ts';
import type { DiscoveryDeps } from './api.ts';
import type { Call, CallHandlers } from './call.ts';
import { MessageError, maxSubscriptions, parseUpMessage } from './messages.ts';
import { observePushLatency } from './metrics.ts';
import { createRateLimit } from './rate-limit.ts';
import type { RateLimit } from './rate-limit.ts';
import { refusal } from './refusals.ts';
import type { Refusal } from './refusals.ts';
import { Session } from './session.ts';
import type { StreamState } from './stream-state.ts';

/** A sidecar says Hello with its first bytes. */
const helloTimeoutMs = 10_000;
/** Watches lag behind: a pod that the view lacks may come. Sidecars wait 5 s for an answer. */
const unknownPodTimeoutMs = 3000;
/** A sidecar swaps within milliseconds; one that is silent this long is stuck. */
const ackTimeoutMs = 30_000;
/** A replaced stream is left for its sidecar to close, this long. */
const replacedTimeoutMs = 5000;
/** Subscriptions come one per new destination; many at start. */
const messageRate = { perSecond: 100, burst: 2000 };
/** Reading JSON is the operator's work: a full Hello (3 MiB) and some, then what statistics need and far more. */
const byteRate = { perSecond: 256 << 10, burst: 16 << 20 };
/**
 * Each name asked for or held is translated, 20 µs of the operator: all that a sidecar may say in two Hellos, then
 * what a crawler finds. It is counted by address: beginning anew does not help.
 */
export const nameRate = { perSecond: 1000, burst: 10 * maxSubscriptions };

/** What the streams of a server share. */
export interface StreamHost {
  deps: DiscoveryDeps;
  view(): View;
  /** How many names the pod at this address may still ask for. */
  namesOf(address: string, nowMs: number): RateLimit;
  /** A pod has proved itself: names that its workload's other pods use. Ends an older stream of the pod. */
  onReady(stream: SidecarStream): string[];
  /** What the stream depends on may have changed. */
  onInterests(stream: SidecarStream): void;
  onChanged(stream: SidecarStream, what: 'resources' | 'statistics'): void;
  onClosed(stream: SidecarStream, refused: Refusal | null): void;
}

export class SidecarStream implements CallHandlers {
  readonly #host: StreamHost;
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #translations: Translations;
  readonly #messages: RateLimit;
  readonly #bytes: RateLimit;
  readonly #names: RateLimit;
  readonly #connectedAtMs: number;
  #hello: Hello | null = null;
  #session: Session | null = null;
  #statistics: Statistics | null = null;
  #statisticsAtMs = 0;
  #sentAtMs = 0;
  #timer: Timer | null = null;
  #replaced = false;
  /** As last asked for; dropped when something changes. */
  #state: StreamState | null = null;

  constructor(call: Call, host: StreamHost) {
    this.#call = call;
    this.#host = host;
    this.#clock = host.deps.clock;
    this.#translations = host.deps.translations;
    const nowMs = this.#clock.nowMs();
    this.#messages = createRateLimit(messageRate, nowMs);
    this.#bytes = createRateLimit(byteRate, nowMs);
    this.#names = host.namesOf(call.peer.address, nowMs);
    this.#connectedAtMs = this.#clock.wallTimeMs();
    const noHello = refusal('no-hello', 'the first message did not come in time');
    this.#arm(helloTimeoutMs, noHello);
  }

  /** Null until the pod is known and proved. */
  get session(): Session | null {
    return this.#session;
  }

  get uid(): string {
    return this.#hello?.pod.uid ?? '';
  }

  state(): StreamState | null {
    this.#state ??= this.#makeState();
    return this.#state;
  }

  #makeState(): StreamState | null {
    const session = this.#session;
    const hello = this.#hello;
    if (session === null || hello === null) return null;
    const { namespace, name, uid } = hello.pod;
    return {
      pod: { namespace, name, uid },
      replica: this.#host.deps.replica,
      connectedAtMs: this.#connectedAtMs,
      proxyVersion: hello.proxyVersion,
      draining: session.draining,
      subscriptions: [...session.subscriptions],
      resources: session.resources(),
      statistics: this.#statistics,
      statisticsAtMs: this.#statisticsAtMs,
    };
  }

  statistics(): Pick<StreamState, 'statistics' | 'statisticsAtMs'> {
    return { statistics: this.#statistics, statisticsAtMs: this.#statisticsAtMs };
  }

  /** The view changed in something that this stream may depend on. */
  refresh(): void {
    if (this.#session !== null) this.#push();
    else if (this.#hello !== null) this.#tryAdmit(this.#hello);
  }

  /** A newer stream of the same pod took over. */
  replace(): void {
    this.#replaced = true;
    this.#disarm();
    this.#arm(replacedTimeoutMs, refusal('replaced', ''));
  }

  askToReconnect(): void {
    if (this.#session !== null) this.#call.send('{"reconnect":true}');
  }

  end(reason: Refusal): void {
    this.#call.fail(reason);
  }

  onMessage(text: string): void {
    const nowMs = this.#clock.nowMs();
    if (!this.#messages.take(nowMs)) return this.end(tooOften(messageRate, 'messages'));
    if (!this.#bytes.take(nowMs, text.length)) return this.end(tooOften(byteRate, 'bytes'));
    try {
      const message = parseUpMessage(text);
      if (!this.#names.take(nowMs, namesIn(message))) return this.end(tooOften(nameRate, 'names'));
      this.#take(message);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.end(refusal('malformed', error.message));
    }
  }

  onPeerEnd(): void {
    this.#call.end();
  }

  onClose(refused: Refusal | null): void {
    this.#timer?.cancel();
    this.#host.onClosed(this, refused);
  }

  #take(message: UpMessage): void {
    if (message.hello !== undefined) return this.#takeHello(message.hello);
    const session = this.#session;
    if (session === null) {
      // A sidecar may subscribe while the operator still waits for its pod.
      if (this.#hello === null) throw new MessageError('message', 'must be hello at first');
      return this.#takeEarly(message);
    }
    if (message.subscribe !== undefined) this.#subscribe(session, message.subscribe);
    if (message.unsubscribe !== undefined) session.unsubscribe(message.unsubscribe);
    if (message.statistics !== undefined) return this.#takeStatistics(message.statistics);
    if (message.draining === true) session.draining = true;
    if (message.ack !== undefined) this.#takeAck(session, message.ack);
    this.#push();
    this.#changed('resources');
  }

  #takeHello(hello: Hello): void {
    if (this.#hello !== null) throw new MessageError('hello', 'came a second time');
    this.#hello = hello;
    this.#disarm();
    this.#tryAdmit(hello);
  }

  #takeEarly(message: UpMessage): void {
    const hello = this.#hello!;
    const names = new Set([...hello.subscribe, ...(message.subscribe ?? [])]);
    for (const name of message.unsubscribe ?? []) names.delete(name);
    this.#hello = { ...hello, subscribe: [...names] };
    if (message.statistics !== undefined) this.#takeStatistics(message.statistics);
    if (names.size > maxSubscriptions) this.end(tooMany());
  }

  #takeStatistics(statistics: Statistics): void {
    this.#statistics = statistics;
    this.#statisticsAtMs = this.#clock.wallTimeMs();
    if (this.#session !== null) this.#changed('statistics');
  }

  #takeAck(session: Session, ack: NonNullable<UpMessage['ack']>): void {
    if (!session.ack(ack.nonce, ack.errors) || this.#replaced) return;
    this.#disarm();
    const { metrics } = this.#host.deps;
    metrics.acks += 1;
    metrics.nacks += ack.errors.length;
    observePushLatency(metrics, this.#clock.nowMs() - this.#sentAtMs);
    for (const error of ack.errors) {
      const detail = { pod: session.pod, ...error };
      this.#host.deps.log('warn', 'sidecar refused configuration', detail);
    }
  }

  #tryAdmit(hello: Hello): void {
    const verdict = admit(this.#host.view(), this.#call.peer, hello.pod);
    if (verdict.verdict === 'refuse') return this.end(verdict.refusal);
    if (verdict.verdict === 'wait') {
      this.#arm(unknownPodTimeoutMs, verdict.otherwise);
      return;
    }
    this.#disarm();
    const session = new Session(verdict.pod, hello.held);
    this.#session = session;
    const warm = this.#host.onReady(this);
    this.#call.accept();
    this.#subscribe(session, [...hello.subscribe, ...warm]);
    this.#push();
    this.#changed('resources');
  }

  #subscribe(session: Session, names: readonly string[]): void {
    for (const name of names) session.subscriptions.add(name);
    if (session.subscriptions.size > maxSubscriptions) this.end(tooMany());
  }

  #push(): void {
    const session = this.#session;
    if (session === null || this.#replaced || this.#call.closed) return;
    const push = session.nextPush(this.#translations);
    this.#host.onInterests(this);
    if (session.takeLearned() || push !== null) this.#changed('resources');
    if (push === null) return;
    const { metrics } = this.#host.deps;
    metrics.pushes += 1;
    metrics.resourcesPushed += push.resources;
    metrics.bytesPushed += this.#call.send(push.text);
    this.#sentAtMs = this.#clock.nowMs();
    this.#disarm();
    this.#arm(ackTimeoutMs, refusal('no-ack', `push ${push.nonce} was not acknowledged in time`));
  }

  #changed(what: 'resources' | 'statistics'): void {
    this.#state = null;
    this.#host.onChanged(this, what);
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Keeps the first of several deadlines for one thing. */
  #arm(delayMs: number, reason: Refusal): void {
    this.#timer ??= this.#clock.after(delayMs, () => this.end(reason));
  }
}

function namesIn({ hello, subscribe = [] }: UpMessage): number {
  if (hello === undefined) return subscribe.length;
  return hello.subscribe.length + Object.keys(hello.held).length;
}

function tooOften(rate: { perSecond: number }, what: string): Refusal {
  return refusal('too-many-messages', `more than ${rate.perSecond} ${what} per second`);
}

function tooMany(): Refusal {
  return refusal('too-many-subscriptions', `more than ${maxSubscriptions} destinations`);
}
