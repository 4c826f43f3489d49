// What statuses are made of. Types only.

import type { Verdict } from '../controllers/conditions.ts';
import type { MeshStatusStatus, PolicyProblem } from '../resources/tsmesh.ts';

export type ProgrammedReason =
  'Programmed' | 'Pending' | 'Rejected' | 'SidecarsDisconnected' | 'ReplicasBehind';

export interface ProgrammedResult {
  status: 'True' | 'False' | 'Unknown';
  reason: ProgrammedReason;
  message: string;
}

/** One row of `kubectl get meshstatus`: `mesh.default` or `namespace.<name>`. */
export interface MeshStatusRow {
  name: string;
  /** Without conditions: those keep the time of their last change. */
  status: MeshStatusStatus;
  verdicts: Verdict[];
}

/** All of them at one instant. */
export interface MeshStatusTable {
  readonly names: readonly string[];
  /** One of `names`. `problems`: of all policies. */
  row(name: string, problems: readonly PolicyProblem[]): MeshStatusRow;
}
