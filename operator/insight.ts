// What controllers ask the control plane: is a policy in force, and what do the MeshStatus rows say. The
// index behind the first question is made once for each state of view and streams.

import type { WorkloadResource } from '../proxy/api/resources.ts';
import type { OperatorIdentity } from './ca/operator-identity.ts';
import { trustOf } from './ca/trust.ts';
import type { MeshInsight } from './controllers/context.ts';
import { keepWhileConnecting } from './controllers/verdicts.ts';
import type { HoldingRow } from './console/api.ts';
import type { DiscoveryServer } from './discovery/api.ts';
import type { StreamState } from './discovery/stream-state.ts';
import type { ObjectKey } from './model/view.ts';
import type { Clock } from './resources/clock.ts';
import { policiesApplying, type Applying } from './telemetry/applying.ts';
import { expiringCertificates } from './telemetry/expiring.ts';
import { GraphObserver } from './telemetry/graph.ts';
import { Convergence } from './telemetry/convergence.ts';
import { followersOf } from './telemetry/followers.ts';
import { indexOfStreams } from './telemetry/streams.ts';
import { meshStatusTable } from './telemetry/mesh-status.ts';
import { indexProgrammed, type ProgrammedIndex } from './telemetry/programmed.ts';
import { sidecarRows, type SidecarRow } from './telemetry/sidecars.ts';
import { TrafficObserver } from './telemetry/traffic.ts';
import { shapedBy } from './translate/translated.ts';
import type { Translations } from './translate/translations.ts';

export interface InsightDeps {
  translations: Translations;
  /** Null before it serves. */
  discovery: () => DiscoveryServer | null;
  clock: Clock;
  /** This replica: its name and its certificate. */
  replica: string;
  identity: Pick<OperatorIdentity, 'current'>;
}

export interface Insight extends MeshInsight {
  /** For the console. */
  sidecars(): SidecarRow[];
  holdings(): HoldingRow[];
  /** Who calls whom, up to now. */
  graph(): GraphObserver;
  /** Policies that have a say in what comes to `shop/Deployment/cart`. */
  applying(workload: string): Applying[];
  /** How long changes took. */
  readonly convergence: Convergence;
  /** View or streams are others than before. */
  invalidate(): void;
}

/** Sidecars that lost their replica are connected again within this time. */
const connectingMs = 10_000;

export function createInsight(deps: InsightDeps): Insight {
  let index: ProgrammedIndex | null = null;
  let termBeganMs = deps.clock.nowMs();
  let observed = new Observed(deps);
  const convergence = new Convergence();
  const current = (): ProgrammedIndex => {
    const discovery = deps.discovery();
    index ??= indexProgrammed({
      translations: deps.translations,
      streams: discovery?.streams() ?? [],
      observed: discovery?.observed() ?? new Map(),
    });
    return index;
  };
  return {
    convergence,
    invalidate() {
      index = null;
    },
    programmed(kind, policy) {
      const result = current().status(shapedBy(kind, policy));
      const nowMs = deps.clock.nowMs();
      const connecting = nowMs - termBeganMs < connectingMs;
      const said = connecting ? keepWhileConnecting(policy, result) : result;
      const { uid = '', generation = 0 } = policy.metadata;
      convergence.note(uid, generation, said.status, nowMs);
      return said;
    },
    beginTerm() {
      termBeganMs = deps.clock.nowMs();
      observed = new Observed(deps);
    },
    followers() {
      const discovery = deps.discovery();
      const material = deps.identity.current();
      return followersOf({
        view: deps.translations.view,
        streams: discovery?.streams() ?? [],
        self: { name: deps.replica, trust: material === null ? null : trustOf(material) },
        replicas: discovery?.replicaTrust() ?? new Map(),
      });
    },
    expiring() {
      const streams = deps.discovery()?.streams() ?? [];
      return expiringCertificates(deps.translations.view, streams, deps.clock.wallTimeMs());
    },
    sidecars: () =>
      sidecarRows({
        view: deps.translations.view,
        streams: deps.discovery()?.streams() ?? [],
        inSync: current().inSync,
      }),
    holdings: () => holdingsOf(deps.discovery()?.streams() ?? []),
    graph: () => observed.bringUpToDate().graph,
    applying: (workload) => applyingTo(deps.translations, workload),
    meshStatus: () => statusTable(deps, current().inSync, observed.bringUpToDate()),
  };
}

function statusTable(
  { translations, discovery, clock }: InsightDeps,
  inSync: ProgrammedIndex['inSync'],
  { traffic, graph }: Observed,
): ReturnType<MeshInsight['meshStatus']> {
  return meshStatusTable({
    view: translations.view,
    streams: discovery()?.streams() ?? [],
    inSync,
    traffic,
    graph,
    nowMs: clock.wallTimeMs(),
    inboundOf: (pod) => inboundOf(translations, pod.key),
  });
}

/** What sidecars counted since this replica began to lead. */
class Observed {
  readonly traffic: TrafficObserver;
  readonly graph: GraphObserver;
  readonly #deps: InsightDeps;

  constructor(deps: InsightDeps) {
    this.#deps = deps;
    this.traffic = new TrafficObserver(deps.clock.wallTimeMs());
    this.graph = new GraphObserver(deps.clock.wallTimeMs());
  }

  bringUpToDate(): this {
    const { discovery, translations, clock } = this.#deps;
    const streams = discovery()?.streams() ?? [];
    this.traffic.observe(translations.view, streams, clock.wallTimeMs());
    this.graph.observe(translations.view, streams, clock.wallTimeMs());
    return this;
  }
}

function holdingsOf(streams: readonly StreamState[]): HoldingRow[] {
  return [...indexOfStreams(streams).values()].map(({ pod, subscriptions }) => ({
    namespace: pod.namespace,
    pod: pod.name,
    destinations: [...subscriptions],
  }));
}

function applyingTo(translations: Translations, workload: string): Applying[] {
  return policiesApplying(translations.view, workload, (pod) => {
    const resource = translations.workload(pod)?.resource;
    return resource?.type === 'Workload' ? resource.policies : [];
  });
}

function inboundOf(translations: Translations, pod: ObjectKey): WorkloadResource['inbound'] | null {
  const resource = translations.workload(pod)?.resource;
  return resource?.type === 'Workload' ? resource.inbound : null;
}
