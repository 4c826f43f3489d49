// A replica of the discovery server for tests: real sockets and certificates of a CA made here, the
// cluster a model that the test fills.

import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { createRoot, loadAuthority } from '../ca/authority.ts';
import type { CertificateAuthority, TlsMaterial } from '../ca/types.ts';
import { createModel } from '../model/model.ts';
import type { Model } from '../model/model.ts';
import { ManualClock, fill } from '../model/test-objects.ts';
import type { Objects } from '../model/test-objects.ts';
import type { Clock } from '../resources/clock.ts';
import { systemClock } from '../runtime/clock.ts';
import { createTranslations } from '../translate/translations.ts';
import type { DiscoveryDeps, DiscoveryServer } from './api.ts';
import { createDiscoveryMetrics } from './metrics.ts';
import type { DiscoveryMetrics } from './metrics.ts';
import { createDiscoveryServer } from './server.ts';
import { TestSidecar } from './test-sidecar.ts';
import type { SidecarOptions } from './test-sidecar.ts';

const hour = 3_600_000;

export function newAuthority(): CertificateAuthority {
  const loaded = loadAuthority(
    createRoot('cluster.local', 24 * hour, systemClock.wallTimeMs()),
    systemClock.wallTimeMs(),
  );
  if (!loaded.ok) throw new Error(loaded.problem.message);
  return loaded.authority;
}

export function leaf(ca: CertificateAuthority, namespace: string, account: string): TlsMaterial {
  const uri = formatSpiffeId({ trustDomain: 'cluster.local', namespace, serviceAccount: account });
  return ca.issue({ uris: [uri], dnsNames: [], lifetimeMs: hour }, systemClock.wallTimeMs());
}

export interface Replica {
  server: DiscoveryServer;
  model: Model;
  port: number;
  metrics: DiscoveryMetrics;
  setIdentity: (next: TlsMaterial) => void;
}

/** What a test opened, closed together. */
export class Bench {
  readonly ca = newAuthority();
  readonly #open: (() => void | Promise<void>)[] = [];

  async replica(
    objects: Objects,
    options: {
      name?: string;
      clock?: Clock;
      port?: number;
      connections?: DiscoveryDeps['connections'];
      maxKept?: number;
    } = {},
  ): Promise<Replica> {
    const clock = options.clock ?? systemClock;
    const model = createModel({ clock, debounceMs: 1 });
    const metrics = createDiscoveryMetrics();
    let identity = leaf(this.ca, 'tsmesh-system', 'tsmesh-operator');
    const listeners = new Set<(material: TlsMaterial) => void>();
    const server = createDiscoveryServer({
      identity: {
        current: () => identity,
        onChange(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
      clock,
      translations: createTranslations(options.maxKept),
      metrics,
      replica: options.name ?? 'operator-1',
      connections: { total: 100, ...options.connections },
      log: () => undefined,
    });
    model.onView((view, change) => server.onView(view, change));
    fill(model, objects);
    model.flush();
    const port = await server.listen(options.port ?? 0, '127.0.0.1');
    this.#open.push(async () => {
      const closing = server.close();
      if (clock instanceof ManualClock) clock.advance(2000);
      await closing;
    });
    this.#open.push(() => model.close());
    const setIdentity = (next: TlsMaterial) => {
      identity = next;
      for (const listener of listeners) listener(next);
    };
    return { server, model, port, metrics, setIdentity };
  }

  sidecar(port: number, options: Partial<SidecarOptions> = {}): TestSidecar {
    const one = new TestSidecar({ port, material: leaf(this.ca, 'shop', 'web'), ...options });
    this.#open.push(() => one.close());
    return one;
  }

  async close(): Promise<void> {
    for (const close of this.#open.splice(0).toReversed()) await close();
  }
}

/** Resolves once the condition holds; checked at every change of streams. */
export function changed(server: DiscoveryServer, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = server.onStreamsChanged(check);
    function check(): void {
      if (!condition()) return;
      stop();
      resolve();
    }
    check();
  });
}
