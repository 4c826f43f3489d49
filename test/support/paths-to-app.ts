// Test support: the ways that traffic takes to an app, for suites of other people's programs: through two
// sidecars with mutual TLS, or through one of them in plaintext.

import { startPair } from './mesh-pair.ts';
import { destination, endpoints, loopback, service, startSidecar, workload } from './sidecar.ts';

/** `two`: both sidecars, mutual TLS between. `caller`, `callee`: that one alone, in plaintext. */
export const waysToApp = ['two', 'caller', 'callee'] as const;
export type WayToApp = (typeof waysToApp)[number];

/** What went through the sidecar nearest to the client. */
export interface Carried {
  requests: number;
  mtlsRequests: number;
  /** Opaque, such as TLS of the app's own. */
  connections: number;
  mtlsConnections: number;
}

export interface Entry {
  /** Where a client connects to in place of the app. */
  port: number;
  carried(): Carried;
  close(): void;
}

/** The app listens on loopback at `port`. */
export async function openWay(way: WayToApp, port: number): Promise<Entry> {
  const app = { address: loopback, family: 'IPv4', port };
  if (way === 'two') {
    const pair = await startPair(app);
    const carried = () => pair.caller.counters.totals('outbound');
    return { port: pair.caller.outbound.address.port, carried, close: () => pair.close() };
  }
  const sidecar = await startSidecar(way);
  const close = () => sidecar.close();
  if (way === 'callee') {
    sidecar.target.inbound = app;
    sidecar.apply(workload());
    const carried = () => sidecar.counters.totals('inbound');
    return { port: sidecar.inbound.address.port, carried, close };
  }
  sidecar.target.outbound = service;
  sidecar.apply(workload(), destination(), endpoints(app, null));
  const carried = () => sidecar.counters.totals('outbound');
  return { port: sidecar.outbound.address.port, carried, close };
}
