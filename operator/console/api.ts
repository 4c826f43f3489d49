// What the console answers: the shapes that the command line and the page read. Types only.

import type { SidecarRow } from '../telemetry/sidecars.ts';

/** Only the leader knows of all sidecars: another replica says who leads. */
export interface ConsoleIdentity {
  replica: string;
  version: string;
  leading: boolean;
}

/** What a connected sidecar asked for. */
export interface HoldingRow {
  namespace: string;
  pod: string;
  /** `10.96.0.7:80`. */
  destinations: string[];
}

/** `GET /api/holdings`. */
export interface HoldingsAnswer {
  operator: ConsoleIdentity;
  sidecars: HoldingRow[];
}

/** `GET /api/sidecars`. */
export interface SidecarsAnswer {
  operator: ConsoleIdentity;
  /** Unix milliseconds. */
  atMs: number;
  sidecars: SidecarRow[];
}

/** A Deployment, StatefulSet, DaemonSet, Job or lone Pod; what is outside the mesh has the kind `Outside` and no namespace. */
export interface WorkloadRef {
  namespace: string;
  kind: string;
  name: string;
}

/** What happened on an edge, or at a workload as a server, in the answer's window. */
export interface TrafficFigures {
  requestsPerSecond: number;
  /** Share of the requests that did not fail, 0 to 1; null without requests. */
  success: number | null;
  p50Ms: number | null;
  p99Ms: number | null;
  /** Opaque TCP connections opened. */
  connectionsPerSecond: number;
  /** Share of requests and connections over mesh mTLS, 0 to 1; null without any. */
  mtls: number | null;
  /** Refused by policy. */
  deniedPerSecond: number;
}

export interface GraphNode {
  workload: WorkloadRef;
  /** Ready sidecars, and those that there should be; 0 of 0 for what is outside the mesh. */
  ready: number;
  wanted: number;
  served: TrafficFigures;
}

export interface GraphEdge {
  from: WorkloadRef;
  to: WorkloadRef;
  /** SPIFFE identity of the caller, null where it is not known. */
  identity: string | null;
  /** NAMESPACE/NAME of the Service that was called, null for a pod's own address. */
  service: string | null;
  /** Those of `http`, `grpc` and `tcp` that were seen, parted by commas. */
  protocol: string;
  figures: TrafficFigures;
}

/** `GET /api/graph`, `?namespace=NAMESPACE` for what begins or ends there: the last minute. */
export interface GraphAnswer {
  operator: ConsoleIdentity;
  /** Unix milliseconds. */
  atMs: number;
  windowMs: number;
  nodes: GraphNode[];
  edges: GraphEdge[];
  /** Edges beyond what the operator keeps, or what an answer holds. */
  omittedEdges: number;
}

/** One step of a series. Steps without traffic have a rate of 0 and no times. */
export interface SeriesPoint {
  requestsPerSecond: number;
  success: number | null;
  p50Ms: number | null;
  p99Ms: number | null;
}

/** `GET /api/workloads/NAMESPACE/KIND/NAME`: the last hour of a workload as a server; 404 where it is not known. */
export interface WorkloadAnswer {
  operator: ConsoleIdentity;
  atMs: number;
  workload: WorkloadRef;
  /** Time between two points, and the points, oldest first; the last one ends at atMs. */
  stepMs: number;
  series: SeriesPoint[];
  callers: GraphEdge[];
  called: GraphEdge[];
  pods: {
    name: string;
    state: string;
    version: string | null;
    certificateNotAfterMs: number | null;
  }[];
  /** Objects that apply to it. */
  policies: { kind: string; namespace: string; name: string }[];
}
