// All informers of the operator: cluster-wide ones from the start, and one for identity Secrets in each
// namespace where the operator has rights on them.

import { identitySecretType } from '../../proxy/api/constants.ts';
import type { Kind } from '../resources/api-client.ts';
import type { KubeObject, Secret } from '../resources/kubernetes.ts';
import { Informer, type InformerDeps, type InformerScope } from './informer.ts';

export type ObjectEvent = 'upsert' | 'remove';
export type ObjectListener = (kind: Kind, object: KubeObject, event: ObjectEvent) => void;

export class Caches {
  readonly #deps: InformerDeps;
  readonly #listener: ObjectListener;
  readonly #informers = new Map<Kind, Informer<KubeObject>>();
  readonly #secrets = new Map<string, Informer<Secret>>();

  constructor(deps: InformerDeps, scopes: readonly InformerScope[], listener: ObjectListener) {
    this.#deps = deps;
    this.#listener = listener;
    for (const scope of scopes) {
      this.#informers.set(scope.kind, new Informer(scope, deps, this.#handler(scope.kind)));
    }
  }

  start(): void {
    for (const informer of this.#informers.values()) informer.start();
  }

  /** Resolves when these kinds have been listed once; without an argument, all of them. */
  async synced(kinds?: readonly Kind[]): Promise<void> {
    const wanted = kinds ?? [...this.#informers.keys()];
    await Promise.all(wanted.map((kind) => this.of(kind).synced));
  }

  of<T extends KubeObject>(kind: Kind): Informer<T> {
    const informer = this.#informers.get(kind);
    if (informer === undefined) throw new Error(`no informer for ${kind}`);
    return informer as unknown as Informer<T>;
  }

  /** Watches identity Secrets in these namespaces, and no longer in others. */
  async watchSecrets(namespaces: ReadonlySet<string>): Promise<void> {
    for (const namespace of namespaces) {
      if (this.#secrets.has(namespace)) continue;
      const fieldSelector = `type=${identitySecretType}`;
      const scope = { kind: 'Secret', namespace, fieldSelector } as const;
      const informer = new Informer<Secret>(scope, this.#deps, this.#handler('Secret'));
      this.#secrets.set(namespace, informer);
      informer.start();
    }
    for (const [namespace, informer] of this.#secrets) {
      if (namespaces.has(namespace)) continue;
      this.#secrets.delete(namespace);
      await informer.stop();
    }
  }

  async stop(): Promise<void> {
    const all = [...this.#informers.values(), ...this.#secrets.values()];
    await Promise.all(all.map((informer) => informer.stop()));
  }

  #handler<T extends KubeObject>(kind: Kind) {
    return {
      upsert: (object: T) => this.#listener(kind, object, 'upsert'),
      remove: (object: T) => this.#listener(kind, object, 'remove'),
    };
  }
}
