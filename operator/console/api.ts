// What the console answers: the shapes that the command line and the page read. Types only.

import type { SidecarRow } from '../telemetry/sidecars.ts';

/** Only the leader knows of all sidecars: another replica says who leads. */
export interface ConsoleIdentity {
  replica: string;
  version: string;
  leading: boolean;
}

/** `GET /api/sidecars`. */
export interface SidecarsAnswer {
  operator: ConsoleIdentity;
  /** Unix milliseconds. */
  atMs: number;
  sidecars: SidecarRow[];
}
