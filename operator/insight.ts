// What controllers ask the control plane: is a policy in force, and what do the MeshStatus rows say. The
// index behind the first question is made once for each state of view and streams.

import type { WorkloadResource } from '../proxy/api/resources.ts';
import type { OperatorIdentity } from './ca/operator-identity.ts';
import { trustOf } from './ca/trust.ts';
import type { MeshInsight } from './controllers/context.ts';
import { keepWhileConnecting } from './controllers/verdicts.ts';
import type { HoldingRow } from './console/api.ts';
import type { DiscoveryServer } from './discovery/api.ts';
import type { ObjectKey } from './model/view.ts';
import type { Clock } from './resources/clock.ts';
import { expiringCertificates } from './telemetry/expiring.ts';
import { followersOf } from './telemetry/followers.ts';
import { indexOfStreams } from './telemetry/streams.ts';
import { meshStatusRows } from './telemetry/mesh-status.ts';
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
  /** View or streams are others than before. */
  invalidate(): void;
}

/** Sidecars that lost their replica are connected again within this time. */
const connectingMs = 10_000;

export function createInsight(deps: InsightDeps): Insight {
  let index: ProgrammedIndex | null = null;
  let termBeganMs = deps.clock.nowMs();
  let traffic = new TrafficObserver(deps.clock.wallTimeMs());
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
    invalidate() {
      index = null;
    },
    programmed(kind, policy) {
      const result = current().status(shapedBy(kind, policy));
      const connecting = deps.clock.nowMs() - termBeganMs < connectingMs;
      return connecting ? keepWhileConnecting(policy, result) : result;
    },
    beginTerm() {
      termBeganMs = deps.clock.nowMs();
      traffic = new TrafficObserver(deps.clock.wallTimeMs());
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
    holdings: () =>
      [...indexOfStreams(deps.discovery()?.streams() ?? []).values()].map(
        ({ pod, subscriptions }) => ({
          namespace: pod.namespace,
          pod: pod.name,
          destinations: [...subscriptions],
        }),
      ),
    statusRows() {
      const nowMs = deps.clock.wallTimeMs();
      const streams = deps.discovery()?.streams() ?? [];
      traffic.observe(streams, nowMs);
      const { view } = deps.translations;
      return meshStatusRows({
        view,
        streams,
        inSync: current().inSync,
        traffic,
        nowMs,
        inboundOf: (pod) => inboundOf(deps.translations, pod.key),
      });
    },
  };
}

function inboundOf(translations: Translations, pod: ObjectKey): WorkloadResource['inbound'] | null {
  const resource = translations.workload(pod)?.resource;
  return resource?.type === 'Workload' ? resource.inbound : null;
}
