// One sidecar's side of the delta protocol: what it wants, has, was sent and refused, and from that the
// next push. No I/O and no time: bytes are the server's.

import type { Push, ResourceError } from '../../proxy/api/discovery.ts';
import { resourceKey } from '../../proxy/api/resources.ts';
import type { ResourceKey } from '../../proxy/api/resources.ts';
import type { ObjectKey } from '../model/view.ts';
import type { ShapedBy } from '../translate/translated.ts';
import { translationKeys } from '../translate/translations.ts';
import type { TranslationKey, Translations, Versioned } from '../translate/translations.ts';
import type { HeldResource, Rejection } from './stream-state.ts';

/** A version as it was sent. */
interface Sent {
  version: string;
  /** Null: a version from before this stream, of which nothing else is known. */
  shapedBy: readonly ShapedBy[] | null;
  endpoints: readonly string[] | null;
}

interface Held {
  acked: Sent | null;
  rejected: Rejection | null;
}

interface InFlight {
  nonce: string;
  sent: Map<ResourceKey, Sent>;
  /** In force until it is acknowledged that they are not. */
  removed: Map<ResourceKey, Held>;
}

export interface PlannedPush {
  nonce: string;
  /** The DownMessage as JSON. */
  text: string;
  resources: number;
}

/** A push is cut here (never inside a Destination and its Endpoints); the rest follows the ACK. */
const softMaxPushBytes = 1 << 20;
const nothingInFlight: InFlight = { nonce: '', sent: new Map(), removed: new Map() };
const workloadKey: ResourceKey = 'Workload/self';

export class Session {
  readonly pod: ObjectKey;
  readonly namespace: string;
  readonly subscriptions = new Set<string>();
  /** What the last plan looked at: a change of any of these can make a push. */
  interests: ReadonlySet<TranslationKey> = new Set();
  draining = false;
  readonly #held = new Map<ResourceKey, Held>();
  #inFlight: InFlight | null = null;
  #pushes = 0;
  #learned = false;

  constructor(pod: { key: ObjectKey; namespace: string }, held: Record<ResourceKey, string>) {
    this.pod = pod.key;
    this.namespace = pod.namespace;
    for (const [key, version] of Object.entries(held)) {
      const acked = { version, shapedBy: null, endpoints: null };
      this.#held.set(key as ResourceKey, { acked, rejected: null });
    }
  }

  get awaitsAck(): boolean {
    return this.#inFlight !== null;
  }

  /**
   * The sidecar has dropped these Destinations (not their Endpoints): if they are wanted again, they are
   * sent again. What is in flight reaches it after that and counts.
   */
  unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (this.subscriptions.delete(name)) this.#held.delete(`Destination/${name}`);
    }
  }

  /** What an older stream of the same pod may have changed since this one said what it holds. */
  doubt(older: Session): void {
    const suspects = new Set([...older.#held.keys(), ...(older.#inFlight?.sent.keys() ?? [])]);
    for (const key of suspects) {
      const mine = this.#held.get(key);
      const theirs = older.#held.get(key)?.acked?.version;
      const moving = older.#inFlight?.sent.has(key) === true;
      if (mine !== undefined && (moving || theirs !== mine.acked?.version)) mine.acked = null;
    }
  }

  /** Whether it has become known, since last asked, what some version from before this stream is. */
  takeLearned(): boolean {
    const learned = this.#learned;
    this.#learned = false;
    return learned;
  }

  /** Null while one is on its way, and when there is nothing to say. */
  nextPush(translations: Translations): PlannedPush | null {
    // Once it is acknowledged everything is looked at again.
    if (this.#inFlight !== null || this.draining) return null;
    const groups = this.#wanted(translations);
    const resources: Versioned[] = [];
    const chosen = new Set<ResourceKey>();
    let bytes = 0;
    let complete = true;
    for (const group of groups) {
      const due = group.filter((one) => !chosen.has(one.key) && this.#isDue(one));
      const size = due.reduce((sum, one) => sum + one.text.length, 0);
      if (bytes > 0 && bytes + size > softMaxPushBytes) {
        complete = false;
        break;
      }
      bytes += size;
      for (const one of due) chosen.add(one.key);
      resources.push(...due);
    }
    // Only when all that may take their place is there.
    const removed = complete ? this.#unwanted(groups) : [];
    if (resources.length === 0 && removed.length === 0) return null;
    return this.#send(resources, removed);
  }

  /** Whether it answers the push on its way. */
  ack(nonce: string, errors: readonly ResourceError[]): boolean {
    const inFlight = this.#inFlight;
    if (inFlight === null || inFlight.nonce !== nonce) return false;
    this.#inFlight = null;
    const refused = new Map(errors.map((error) => [error.key, error]));
    for (const [key, sent] of inFlight.sent) {
      const error = refused.get(key);
      const before = this.#held.get(key);
      if (error === undefined) this.#held.set(key, { acked: sent, rejected: null });
      else this.#held.set(key, { acked: before?.acked ?? null, rejected: rejection(sent, error) });
    }
    return true;
  }

  resources(): HeldResource[] {
    const { sent: sending, removed } = this.#inFlight ?? nothingInFlight;
    const keys = new Set([...this.#held.keys(), ...sending.keys(), ...removed.keys()]);
    return [...keys].map((key) => {
      const held = this.#held.get(key) ?? removed.get(key);
      const sent = sending.get(key);
      return {
        key,
        acked: held?.acked?.version ?? null,
        ackedBy: held?.acked?.shapedBy?.slice() ?? null,
        sent: sent?.version ?? null,
        sentBy: sent?.shapedBy?.slice() ?? null,
        rejected: held?.rejected ?? null,
      };
    });
  }

  /** The Workload; then each Destination with the Endpoints it refers to, now or in the version in force. */
  #wanted(translations: Translations): Versioned[][] {
    const interests = new Set<TranslationKey>([translationKeys.workload(this.pod)]);
    const workload = translations.workload(this.pod);
    const groups: Versioned[][] = workload === null ? [] : [[workload]];
    let unsure = false;
    for (const name of this.subscriptions) {
      const destination = translations.destination(this.namespace, name);
      if (destination === null) continue;
      interests.add(translationKeys.destination(this.namespace, name));
      this.#learn(destination);
      const acked = this.#held.get(destination.key)?.acked;
      unsure ||= acked?.endpoints === null;
      const names = new Set([...(acked?.endpoints ?? []), ...destination.endpoints]);
      groups.push([...this.#endpoints(names, translations, interests), destination]);
    }
    // A Destination of an unknown version may refer to any of the Endpoints that the sidecar has.
    if (unsure) groups.push(this.#endpoints(this.#heldEndpoints(), translations, interests));
    for (const one of groups.flat()) this.#learn(one);
    this.interests = interests;
    return groups;
  }

  #endpoints(
    names: Iterable<string>,
    translations: Translations,
    interests: Set<TranslationKey>,
  ): Versioned[] {
    return [...names].map((name) => {
      interests.add(translationKeys.endpoints(name));
      return translations.endpoints(name);
    });
  }

  #heldEndpoints(): string[] {
    const prefix = 'Endpoints/';
    return [...this.#held.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length));
  }

  /** A version from before this stream that is the current one is no stranger any more. */
  #learn(current: Versioned): void {
    const held = this.#held.get(current.key);
    if (held?.acked?.shapedBy !== null || held.acked.version !== current.version) return;
    held.acked = sentOf(current);
    this.#learned = true;
  }

  #isDue(one: Versioned): boolean {
    const held = this.#held.get(one.key);
    return held?.acked?.version !== one.version && held?.rejected?.version !== one.version;
  }

  #unwanted(groups: Versioned[][]): ResourceKey[] {
    const wanted = new Set(groups.flat().map((one) => one.key));
    return [...this.#held.keys()].filter((key) => key !== workloadKey && !wanted.has(key));
  }

  #send(resources: Versioned[], removed: ResourceKey[]): PlannedPush {
    const nonce = String((this.#pushes += 1));
    const leaving = new Map(removed.map((key) => [key, this.#held.get(key)!]));
    for (const key of removed) this.#held.delete(key);
    const sent = new Map(resources.map((one) => [resourceKey(one.resource), sentOf(one)]));
    this.#inFlight = { nonce, sent, removed: leaving };
    return { nonce, text: pushText(nonce, resources, removed), resources: resources.length };
  }
}

function sentOf(one: Versioned): Sent {
  return { version: one.version, shapedBy: one.shapedBy, endpoints: one.endpoints };
}

function rejection(sent: Sent, error: ResourceError): Rejection {
  return { version: sent.version, path: error.path, message: error.message };
}

/** A DownMessage of texts that are made once for all sidecars. */
function pushText(nonce: string, resources: Versioned[], removed: ResourceKey[]): string {
  const head: Pick<Push, 'nonce' | 'removed'> = { nonce, removed };
  const body = resources.map((one) => `{"version":"${one.version}","resource":${one.text}}`);
  return `{"push":${JSON.stringify(head).slice(0, -1)},"resources":[${body.join(',')}]}}`;
}
