// The adapter of @dot-i/k8s-operator: a source of events on the mesh's own kinds, of which only the keys
// are used. Informers and the work queue own the truth; this wakes them a second time at most.
//
// The library's own watch ends the process on any error (its stop() included), never reports what
// vanished in a gap, opens a connection pool with every try, and drops what a handler throws. So
// `watchResource` is overridden, and `getCustomResourceApiUri` with it, which reads a field that
// client-node 2 no longer has. Its status writing, which hides failures, is not used.

import K8sOperator from '@dot-i/k8s-operator';
import type { ResourceEvent } from '@dot-i/k8s-operator';
import type { Kind } from '../resources/api-client.ts';
import type { Clock } from '../resources/clock.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { errorText, type Logger } from '../resources/logger.ts';
import { backoffMs } from '../runtime/backoff.ts';
import { pause } from '../runtime/clock.ts';
import { kinds } from './kinds.ts';
import type { KubeTransport } from './transport.ts';

export interface EventSourceDeps {
  transport: KubeTransport;
  clock: Clock;
  logger: Logger;
  random: () => number;
  /** Something happened to this object. */
  onKey: (kind: Kind, namespace: string, name: string) => void;
}

export interface EventSource {
  start(): Promise<void>;
  stop(): void;
}

export const sourceKinds = [
  'Mesh',
  'PeerAuthentication',
  'TrafficPolicy',
  'AuthorizationPolicy',
] as const;

const backoff = { baseMs: 500, maxMs: 30_000 };
const { default: Operator, ResourceMetaImpl } = K8sOperator;

export function createEventSource(deps: EventSourceDeps): EventSource {
  return new MeshEvents(deps);
}

type OnEvent = (event: ResourceEvent) => Promise<void>;

class MeshEvents extends Operator implements EventSource {
  readonly #deps: EventSourceDeps;
  readonly #abort = new AbortController();

  constructor(deps: EventSourceDeps) {
    super(deps.logger);
    this.#deps = deps;
  }

  protected async init(): Promise<void> {
    for (const kind of sourceKinds) {
      const { group, version, plural } = kinds[kind];
      const onEvent: OnEvent = ({ meta }) => {
        this.#deps.onKey(kind, meta.namespace ?? '', meta.name);
        return Promise.resolve();
      };
      await this.watchResource(group, version, plural, onEvent);
    }
  }

  override stop(): void {
    this.#abort.abort();
  }

  protected override getCustomResourceApiUri(
    group: string,
    version: string,
    plural: string,
    namespace?: string,
  ): string {
    const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
    return `/apis/${group}/${version}${scope}/${plural}`;
  }

  protected override watchResource(
    group: string,
    version: string,
    plural: string,
    onEvent: OnEvent,
  ): Promise<void> {
    const path = `${this.getCustomResourceApiUri(group, version, plural)}?watch=true`;
    void this.#watchForEver(path, plural, onEvent);
    return Promise.resolve();
  }

  /** Without a resourceVersion each watch begins with all that exist: a gap costs some keys too many. */
  async #watchForEver(path: string, plural: string, onEvent: OnEvent): Promise<void> {
    const { transport, clock, random, logger } = this.#deps;
    for (let failures = 1; !this.#abort.signal.aborted; failures += 1) {
      const startedMs = clock.nowMs();
      try {
        const onLine = (line: string) => void this.#receive(line, plural, onEvent);
        const { status } = await transport.stream(path, { onLine }, this.#abort.signal);
        if (status !== 200) throw new Error(`status ${status}`);
      } catch (error) {
        if (!this.#abort.signal.aborted) {
          logger.debug('an event source broke off', { plural, error: errorText(error) });
        }
      }
      if (clock.nowMs() - startedMs > backoff.maxMs) failures = 1;
      await pause(clock, backoffMs(backoff, failures, random()), this.#abort.signal);
    }
  }

  async #receive(line: string, plural: string, onEvent: OnEvent): Promise<void> {
    try {
      const { type, object } = JSON.parse(line) as {
        type: ResourceEvent['type'];
        object: KubeObject;
      };
      if (!['ADDED', 'MODIFIED', 'DELETED'].includes(type)) return;
      const known = object as ResourceEvent['object'];
      await onEvent({
        meta: ResourceMetaImpl.createWithPlural(plural, known),
        object: known,
        type,
      });
    } catch (error) {
      this.#deps.logger.warn('an event was not understood', { plural, error: errorText(error) });
    }
  }
}
