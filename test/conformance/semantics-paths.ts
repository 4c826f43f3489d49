// Test support: the ways through the mesh that HTTP semantics are held to: two sidecars with mutual TLS,
// and either one alone in plaintext.

import type { AddressInfo } from 'node:net';
import type { Protocol } from '../../proxy/api/resources.ts';
import type { Side } from '../../proxy/exchange/side.ts';
import { startPair } from '../support/mesh-pair.ts';
import {
  destination,
  endpoints,
  service,
  startSidecar,
  workload,
  type TestSidecar,
} from '../support/sidecar.ts';
import { connectTo, type Wire } from './semantics-peers.ts';

export const paths = [
  'two sidecars, mutual TLS',
  'outbound only, plaintext',
  'inbound only, plaintext',
] as const;
export type Path = (typeof paths)[number];

export interface OpenPath {
  /** Where the client connects. */
  port: number;
  /** The side that the client reaches first. */
  entry: Side;
  /** In the order that a request passes them. */
  sidecars: TestSidecar[];
  /** A new client; it is gone once the path is closed. */
  open(): Wire;
  close(): void;
}

type Opened = Pick<OpenPath, 'entry' | 'sidecars' | 'close'>;

/** `protocol`: what the app's port is declared as. */
export async function openPath(
  path: Path,
  app: AddressInfo,
  protocol: Protocol = 'auto',
): Promise<OpenPath> {
  const { entry, sidecars, close } = await openSidecars(path, app, protocol);
  const { port } = entry.address;
  const wires: Wire[] = [];
  const open = (): Wire => {
    const wire = connectTo(port);
    wires.push(wire);
    return wire;
  };
  return {
    port,
    entry,
    sidecars,
    open,
    close() {
      for (const wire of wires) wire.socket.destroy();
      close();
    },
  };
}

async function openSidecars(path: Path, app: AddressInfo, protocol: Protocol): Promise<Opened> {
  if (path === paths[0]) {
    const pair = await startPair(app);
    pair.route({ protocol });
    pair.callee.apply(workload({ mtls: 'STRICT', protocol }));
    const { caller, callee } = pair;
    return { entry: caller.outbound, sidecars: [caller, callee], close: () => pair.close() };
  }
  const sidecar = await startSidecar('only');
  const close = () => sidecar.close();
  if (path === paths[1]) {
    sidecar.target.outbound = service;
    sidecar.apply(workload(), destination({ protocol }), endpoints(app, null));
    return { entry: sidecar.outbound, sidecars: [sidecar], close };
  }
  sidecar.target.inbound = { address: app.address, port: app.port };
  sidecar.apply(workload({ mtls: 'PERMISSIVE', protocol }));
  return { entry: sidecar.inbound, sidecars: [sidecar], close };
}
