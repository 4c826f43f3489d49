// Test support: callers' sidecars in front of several endpoints, each a sidecar and an app that can be told to misbehave,
// all on loopback in this process. Between them runs a wire that can swallow everything, or be cut.

import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { DestinationResource } from '../../proxy/api/resources.ts';
import { createFaultyApp, type FaultyApp } from '../apps/faulty.ts';
import { testAuthority } from './identities.ts';
import { listenOn } from './mesh-pair.ts';
import { destination, endpoints, service, startSidecar, workload } from './sidecar.ts';
import type { TestSidecar } from './sidecar.ts';

/** `drops`: takes everything and passes nothing on, as where packets are dropped; `refuses`: as where nobody listens. */
export type WireState = 'passes' | 'drops' | 'refuses';

export interface Wire {
  readonly address: AddressInfo;
  /** Connections that were opened on it, refused ones included. */
  connections: number;
  become(state: WireState): void;
}

export interface Backend {
  readonly app: FaultyApp;
  readonly wire: Wire;
  readonly sidecar: TestSidecar;
}

export interface FaultyMesh {
  readonly callers: readonly TestSidecar[];
  readonly backends: readonly Backend[];
  /** Where the clients of each caller's sidecar call. */
  readonly urls: readonly string[];
  /** What all apps received. */
  received(): number;
  connections(): number;
  /** How many endpoints this caller leaves out. */
  countOut(caller: TestSidecar): number;
  close(): void;
}

/** `policy`: of the one destination, at every caller. */
export async function startFaultyMesh(
  policy: Partial<DestinationResource>,
  { callers: callerCount = 1, backends: backendCount = 5 } = {},
): Promise<FaultyMesh> {
  const closers: (() => void)[] = [];
  const issue = testAuthority();
  const own = issue('callee');
  const backends: Backend[] = [];
  for (let i = 0; i < backendCount; i += 1) backends.push(await startBackend(own, closers));
  const peers = endpoints(
    backends.map(({ wire }) => wire.address),
    own.spiffeId,
  );
  const callers: TestSidecar[] = [];
  for (let i = 0; i < callerCount; i += 1) {
    const caller = await startSidecar(`caller-${i}`);
    closers.push(() => caller.close());
    caller.identity.swap(issue('caller'));
    caller.target.outbound = service;
    caller.apply(quiet(), destination(policy), peers);
    callers.push(caller);
  }
  return {
    callers,
    backends,
    urls: callers.map(({ outbound }) => `http://127.0.0.1:${outbound.address.port}/`),
    received: () => backends.reduce((sum, { app }) => sum + app.received, 0),
    connections: () => backends.reduce((sum, { wire }) => sum + wire.connections, 0),
    countOut,
    close: () => {
      for (const close of closers) close();
    },
  };
}

function countOut({ store }: TestSidecar): number {
  const set = store.snapshot().endpoints.get('shop/app:80');
  const all = set?.endpoints ?? [];
  return all.filter(({ load: { health } }) => health !== null && health.outUntilMs !== 0).length;
}

function quiet() {
  return { ...workload({ mtls: 'STRICT' }), accessLog: 'off' as const };
}

async function startBackend(
  identity: ReturnType<ReturnType<typeof testAuthority>>,
  closers: (() => void)[],
): Promise<Backend> {
  const app = createFaultyApp();
  const server = http.createServer((request, response) => app.handle(request, response));
  // A sidecar's idle time is shorter: the race is not what is looked at here.
  server.keepAliveTimeout = 60_000;
  const { address, port } = await listenOn(server);
  const sidecar = await startSidecar('callee');
  sidecar.identity.swap(identity);
  sidecar.target.inbound = { address, port };
  sidecar.apply(quiet());
  const wire = await startWire(sidecar.inbound.address, closers);
  closers.push(() => {
    server.close();
    server.closeAllConnections();
    sidecar.close();
  });
  return { app, wire, sidecar };
}

async function startWire(to: AddressInfo, closers: (() => void)[]): Promise<Wire> {
  let state: WireState = 'passes';
  const pairs = new Set<readonly [net.Socket, net.Socket]>();
  const server = net.createServer((near) => {
    wire.connections += 1;
    if (state === 'refuses') near.resetAndDestroy();
    else join(near);
  });
  const wire: Wire = { address: await listenOn(server), connections: 0, become };
  closers.push(() => {
    server.close();
    cutAll();
  });
  return wire;

  function join(near: net.Socket): void {
    const far = net.connect({ host: to.address, port: to.port, noDelay: true });
    near.setNoDelay(true);
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('data', (bytes) => {
        if (state === 'passes') other.write(bytes);
      });
      one.on('error', () => undefined);
      one.on('close', () => {
        pairs.delete(pair);
        if (state !== 'drops') other.destroy();
      });
    }
  }

  function cutAll(): void {
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  }

  function become(next: WireState): void {
    if (next === 'refuses') for (const [near] of pairs) near.resetAndDestroy();
    // Bytes were lost meanwhile: no connection outlives that here.
    if (state === 'drops' && next === 'passes') cutAll();
    state = next;
  }
}
