// The operator put together: what reads the cluster, what answers the API server and the sidecars, and
// what only the leader does. Everything is given its clock, its log and its neighbours here.

import { X509Certificate, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { systemNamespace } from '../proxy/api/constants.ts';
import { createAdmission } from './admission.ts';
import { createCaKeeper, type CaKeeper } from './ca/ca-secret.ts';
import { createOperatorIdentity, type OperatorIdentity } from './ca/operator-identity.ts';
import { caSecretName } from './ca/types.ts';
import type { OperatorConfig } from './config.ts';
import { createConsoleServer, type ConsoleServer } from './console/server.ts';
import { createAuthorityLoop, type AuthorityLoop } from './controllers/authority.ts';
import type { ControllerContext, Stores, WebhookConfiguration } from './controllers/context.ts';
import { meshName } from './controllers/mesh.ts';
import {
  reconcileWebhookConfiguration,
  rootsInWebhooks,
  webhookConfigurationName,
  webhookKinds,
} from './controllers/webhook-configuration.ts';
import type { DiscoveryServer } from './discovery/api.ts';
import { createDiscoveryMetrics } from './discovery/metrics.ts';
import { createDiscoveryServer } from './discovery/server.ts';
import { StartError } from './errors.ts';
import { updateGauges } from './exposition.ts';
import { createInsight, type Insight } from './insight.ts';
import type { WebhookServer } from './inject/webhook-server.ts';
import { createApiClient } from './kube/api.ts';
import { Caches } from './kube/caches.ts';
import { createEventRecorder } from './kube/events.ts';
import { createEventSource, type EventSource } from './kube/k8s-operator.ts';
import { createTransport, type KubeTransport } from './kube/transport.ts';
import { Leadership } from './leadership.ts';
import { createModel, type Model } from './model/model.ts';
import type { Change, View } from './model/view.ts';
import type { ApiClient, EventRecorder, Kind } from './resources/api-client.ts';
import type { Clock } from './resources/clock.ts';
import type { KubeObject } from './resources/kubernetes.ts';
import type { Mesh } from './resources/tsmesh.ts';
import { errorText, type Logger } from './resources/logger.ts';
import { pause } from './runtime/clock.ts';
import { createHealthServer, type HealthServer } from './runtime/health-server.ts';
import { Metrics } from './runtime/metrics.ts';
import { Readiness } from './runtime/readiness.ts';
import { informerScopes, storesOf } from './stores.ts';
import { operatorMetrics } from './telemetry/metrics.ts';
import { discoveryMetricsText } from './telemetry/prometheus.ts';
import { createTranslations, type Translations } from './translate/translations.ts';
import packageJson from '../package.json' with { type: 'json' };

export interface Platform {
  clock: Clock;
  logger: Logger;
  random: () => number;
  /** How long a draining replica still serves: until nobody asks it any more (kube-proxy's delay). */
  drainPauseMs: number;
}

export interface Operator {
  /** Real ports, where a setting was 0; 0 while not listening yet. */
  readonly ports: { webhook: number; discovery: number; health: number; console: number };
  /** Resolves when it serves everything; rejects with StartError. */
  readonly ready: Promise<void>;
  leading(): boolean;
  /** Serves what has begun, hands over, and ends. */
  drain(): Promise<void>;
}

/** Listens for probes at once; everything else follows in the background (see `ready`). */
export async function startOperator(config: OperatorConfig, platform: Platform): Promise<Operator> {
  const app = new App(config, platform);
  await app.listenHealth();
  return app;
}

class App implements Operator {
  readonly ports = { webhook: 0, discovery: 0, health: 0, console: 0 };
  readonly ready: Promise<void>;
  readonly #config: OperatorConfig;
  readonly #platform: Platform;
  readonly #readiness = new Readiness(['caches', 'certificate', 'webhooks', 'discovery']);
  readonly #metrics = new Metrics();
  readonly #discoveryMetrics = createDiscoveryMetrics();
  readonly #health: HealthServer;
  readonly #console: ConsoleServer;
  readonly #transport: KubeTransport;
  readonly #api: ApiClient;
  readonly #events: EventRecorder;
  readonly #model: Model;
  readonly #translations: Translations = createTranslations();
  readonly #caches: Caches;
  readonly #stores: Stores;
  readonly #insight: Insight;
  readonly #keeper: CaKeeper;
  readonly #identity: OperatorIdentity;
  readonly #leadership: Leadership;
  readonly #source: EventSource;
  #authority: AuthorityLoop | null = null;
  #webhooks: WebhookServer | null = null;
  #discovery: DiscoveryServer | null = null;
  #begin: () => void = () => {};

  constructor(config: OperatorConfig, platform: Platform) {
    this.#config = config;
    this.#platform = platform;
    const { clock, logger, random } = platform;
    this.#health = createHealthServer({
      missing: () => this.#readiness.missing(),
      metrics: () => this.#metricsText(),
      nowMs: () => clock.nowMs(),
    });
    this.#transport = openTransport(config, clock);
    this.#api = createApiClient({ transport: this.#transport, clock, random });
    this.#events = createEventRecorder({
      api: this.#api,
      clock,
      logger,
      instance: config.podName,
      uniqueSuffix: () => randomBytes(8).toString('hex'),
    });
    this.#model = createModel({ clock });
    this.#model.onView((view, change) => this.#onView(view, change));
    const informers = { transport: this.#transport, clock, logger, random };
    this.#caches = new Caches(informers, informerScopes, (kind, object, event) =>
      this.#onObject(kind, object, event),
    );
    this.#stores = storesOf(this.#caches);
    this.#keeper = createCaKeeper({
      api: this.#api,
      events: this.#events,
      getMesh: () => this.#mesh(),
      knownRoots: () => knownRoots(this.#api),
    });
    this.#identity = createOperatorIdentity({
      ca: this.#keeper,
      getMesh: () => this.#mesh(),
    });
    this.#insight = createInsight({
      translations: this.#translations,
      discovery: () => this.#discovery,
      clock,
      replica: config.podName,
      identity: this.#identity,
    });
    this.#leadership = this.#createLeadership();
    this.#console = createConsoleServer({
      identity: () => ({
        replica: config.podName,
        version: packageJson.version,
        leading: this.leading(),
      }),
      sidecars: () => this.#insight.sidecars(),
      holdings: () => this.#insight.holdings(),
      graph: () => this.#insight.graph(),
      policies: (workload) => this.#insight.applying(workload),
      wallTimeMs: () => clock.wallTimeMs(),
      nowMs: () => clock.nowMs(),
    });
    this.#source = createEventSource({
      ...informers,
      onKey: (...key) => this.#leadership.controllers?.onKey(...key),
    });
    const begun = new Promise<void>((resolve) => (this.#begin = resolve));
    this.ready = begun.then(() => this.#run());
  }

  async listenHealth(): Promise<void> {
    this.ports.health = await listen(() => this.#health.listen(this.#config.ports.health));
    this.#begin();
  }

  leading(): boolean {
    return this.#leadership.controllers !== null;
  }

  async drain(): Promise<void> {
    const { clock, logger } = this.#platform;
    logger.info('draining');
    this.#readiness.drain();
    this.#source.stop();
    await this.#leadership.stop();
    await pause(clock, this.#platform.drainPauseMs);
    await this.#discovery?.close();
    await this.#webhooks?.close();
    await this.#authority?.stop();
    await this.#caches.stop();
    this.#model.close();
    await this.#console.close();
    await this.#health.close();
    this.#transport.close();
    logger.info('drained');
  }

  async #run(): Promise<void> {
    const { clock, logger, random } = this.#platform;
    this.#caches.start();
    // The Mesh says which trust domain a CA is made for.
    await this.#caches.synced(['Mesh']);
    this.#model.flush();
    const minted = firstIdentity(this.#identity);
    this.#authority = createAuthorityLoop({
      keeper: this.#keeper,
      identity: this.#identity,
      clock,
      logger,
      random,
      onChanged: () => this.#leadership.controllers?.onCaChanged(),
    });
    // Leading does not wait for a certificate: the leader is who reports that there is none.
    const synced = this.#caches.synced().then(() => this.#onSynced());
    await minted;
    this.#readiness.done('certificate');
    await this.#serveWebhooks();
    await synced;
    await this.#introduceWebhooks();
    await this.#serveDiscovery();
    logger.info('ready', { ports: this.ports });
  }

  async #onSynced(): Promise<void> {
    this.#model.flush();
    this.#readiness.done('caches');
    this.#leadership.start();
    await this.#source.start();
  }

  async #serveWebhooks(): Promise<void> {
    const { clock, logger } = this.#platform;
    const server = createAdmission({
      config: this.#config,
      api: this.#api,
      events: this.#events,
      ca: this.#keeper,
      identity: this.#identity,
      getMesh: () => this.#mesh(),
      view: () => this.#model.view(),
      clientCaPem: await readClientCa(this.#config.webhookClientCa),
      clock,
      logger,
    });
    this.ports.webhook = await listen(() => server.listen(this.#config.ports.webhook));
    this.#webhooks = server;
  }

  /**
   * The API server has to trust the webhooks before this replica is ready: after a new installation the
   * next leader may have to wait for the end of an old lease. From then on it is the leader's to do.
   */
  async #introduceWebhooks(): Promise<void> {
    const context = { api: this.#api, stores: this.#stores, logger: this.#platform.logger };
    const rootsPem = this.#identity.current()?.rootsPem ?? null;
    for (const kind of webhookKinds) {
      try {
        await reconcileWebhookConfiguration(context, kind, rootsPem);
      } catch (error) {
        const fields = { kind, error: errorText(error) };
        this.#platform.logger.warn('left a webhook configuration to the leader', fields);
      }
    }
    this.#readiness.done('webhooks');
  }

  /** After the caches: a sidecar must not be told that a Service is unknown which was not read yet. */
  async #serveDiscovery(): Promise<void> {
    const { clock, logger } = this.#platform;
    const discovery = createDiscoveryServer({
      identity: this.#identity,
      clock,
      translations: this.#translations,
      metrics: this.#discoveryMetrics,
      replica: this.#config.podName,
      log: (level, message, detail) => logger[level](message, { ...detail }),
    });
    discovery.onStreamsChanged(() => {
      this.#insight.invalidate();
      this.#leadership.controllers?.onStreamsChanged();
    });
    this.ports.discovery = await listen(() => discovery.listen(this.#config.ports.discovery));
    this.#discovery = discovery;
    // After the line above, or a leader that changed while the port was opened would be missed.
    discovery.setLeader(this.#leadership.leader);
    this.#insight.invalidate();
    this.ports.console = await listen(() => this.#console.listen(this.#config.ports.console));
    this.#readiness.done('discovery');
  }

  #createLeadership(): Leadership {
    const { clock, logger, random } = this.#platform;
    const { podName, podIp, namespace } = this.#config;
    const context: ControllerContext = {
      api: this.#api,
      events: this.#events,
      clock,
      logger,
      stores: this.#stores,
      view: () => this.#model.view(),
      ca: this.#keeper,
      insight: this.#insight,
    };
    return new Leadership({
      context,
      election: {
        api: this.#api,
        clock,
        logger,
        random,
        self: { name: podName, ip: podIp },
        lease: { namespace, name: 'tsmesh-operator' },
      },
      hooks: {
        random,
        rootsPem: () => this.#identity.current()?.rootsPem ?? null,
        watchSecrets: (namespaces) => this.#caches.watchSecrets(namespaces),
        onResult: (queue, outcome, durationMs) => this.#onResult(queue, outcome, durationMs),
      },
      onLeader: (leader) => this.#discovery?.setLeader(leader),
    });
  }

  #onObject(kind: Kind, object: KubeObject, event: 'upsert' | 'remove'): void {
    const { namespace = '', name } = object.metadata;
    if (event === 'upsert') this.#model.upsert(kind, object);
    else this.#model.remove(kind, namespace, name);
    const isCa = kind === 'Secret' && namespace === systemNamespace && name === caSecretName;
    if (isCa || kind === 'Mesh') this.#authority?.wake();
    this.#leadership.controllers?.onObject(kind, object);
  }

  /** From the first view on: a leader has statuses to keep before it serves sidecars, or while it cannot. */
  #onView(view: View, change: Change): void {
    // Before discovery serves, no sidecar holds what a change touches.
    if (this.#discovery === null) this.#translations.advance(view, change);
    else this.#discovery.onView(view, change);
    this.#insight.invalidate();
    this.#leadership.controllers?.onView(change);
  }

  /** With its annotations, which the view does not follow. */
  #mesh(): Mesh | null {
    return this.#caches.of<Mesh>('Mesh').get('', meshName) ?? null;
  }

  #onResult(queue: string, outcome: 'done' | 'failed', durationMs: number): void {
    const { reconciliations, reconciliationSeconds: seconds } = operatorMetrics;
    this.#metrics.count(reconciliations.name, reconciliations.help, { queue, outcome });
    this.#metrics.count(seconds.name, seconds.help, { queue }, durationMs / 1000);
  }

  #metricsText(): string {
    updateGauges({
      metrics: this.#metrics,
      clock: this.#platform.clock,
      ca: this.#keeper,
      identity: this.#identity,
      view: this.#model.view(),
      controllers: this.#leadership.controllers,
      expiring: this.#insight.expiring().length,
      residentBytes: process.memoryUsage.rss(),
    });
    const { convergence } = this.#insight;
    return this.#metrics.text() + discoveryMetricsText(this.#discoveryMetrics, convergence);
  }
}

function openTransport(config: OperatorConfig, clock: Clock): KubeTransport {
  try {
    const kubeconfig = config.kubeconfig ?? undefined;
    return createTransport({ kubeconfig, nowMs: () => clock.nowMs() });
  } catch (error) {
    throw new StartError('NoCluster', errorText(error));
  }
}

async function readClientCa(path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    const pem = await readFile(path, 'utf8');
    void new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new StartError('NoClientCa', `${path}: ${errorText(error)}`);
  }
}

async function listen(start: () => Promise<number>): Promise<number> {
  try {
    return await start();
  } catch (error) {
    throw new StartError('PortInUse', errorText(error));
  }
}

function firstIdentity(identity: OperatorIdentity): Promise<void> {
  return new Promise((resolve) => {
    const stop = identity.onChange(() => {
      stop();
      resolve();
    });
  });
}

async function knownRoots(api: ApiClient): Promise<string | null> {
  const configurations = await Promise.all(
    webhookKinds.map((kind) => api.get<WebhookConfiguration>(kind, '', webhookConfigurationName)),
  );
  return rootsInWebhooks(configurations.filter((one) => one !== null));
}
