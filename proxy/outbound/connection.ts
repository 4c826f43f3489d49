// One connection of the pod's app: finds out where it goes and what it speaks, then hands it to HTTP, to
// a tunnel, or refuses it. It carries no bytes itself.

import { judgedConnections } from '../exchange/judge-endpoint.ts';
import type { Socket } from 'node:net';
import { ports } from '../api/constants.ts';
import { destinationName } from '../api/resources.ts';
import { detect, type Detected } from '../codec/detect.ts';
import type { RequestHead } from '../codec/session.ts';
import type { ProxyErrorCode } from '../errors.ts';
import { connectionChooser } from '../exchange/balance.ts';
import { contextOf, type ExchangeContext } from '../exchange/context.ts';
import type { OpenDeps } from '../exchange/open-upstream.ts';
import { Downstream, type DownstreamOwner } from '../exchange/downstream.ts';
import { limitReply } from '../exchange/limits.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import { readFields } from '../exchange/request-fields.ts';
import type { Plan } from '../exchange/plan.ts';
import { modeOf, Race, refusalMs, type RaceMode } from '../exchange/race.ts';
import { logMismatch, logRefusal, logRefusedConnection } from '../exchange/connection-log.ts';
import type { OpenConnection } from '../exchange/side.ts';
import { Tunnel } from '../exchange/tunnel.ts';
import { resetLink, type Link } from '../net/link.ts';
import type { OriginalDestination } from '../net/original-destination.ts';
import { pickWeighted } from '../policy/weighted.ts';
import type { EndpointHandle, PreparedDestination } from '../state/prepared.ts';
import { defaultDetectMs, type OutboundDeps } from './deps.ts';
import { planOutbound } from './plan.ts';
import { OutsideTunnel, RefusedClaim, type HeldBytes } from './outside.ts';
import type { Resolution, Waiter } from './resolver.ts';
import { newLoad } from '../policy/load.ts';
import { outsideSeries, unknownSeries } from '../telemetry/counters.ts';

export interface OutboundOwner {
  readonly active: { requests: number };
  readonly draining: boolean;
  readonly held: HeldBytes;
  onDone(connection: OutboundConnection): void;
}

export class OutboundConnection implements Waiter {
  private readonly deps: OutboundDeps;
  private readonly owner: OutboundOwner;
  private readonly link: Link;
  private target: OriginalDestination | null = null;
  /** Held in the resolver until the end. */
  private heldName: string | null = null;
  private race: Race | null = null;
  private downstream: Downstream | null = null;
  private tunnel: Tunnel | null = null;
  /** Of a connection that leaves the mesh. */
  private observer: OutsideTunnel | null = null;
  private done = false;
  private readonly sinceMs: number;

  constructor(deps: OutboundDeps, owner: OutboundOwner, socket: Socket) {
    this.deps = deps;
    this.owner = owner;
    this.link = { socket, raw: socket, peer: null };
    this.sinceMs = deps.io.clock.nowMs();
  }

  start(): void {
    const { socket } = this.link;
    socket.on('error', () => undefined);
    socket.once('close', () => this.onSocketClosed());
    this.target = this.deps.originalDestination(socket);
    if (this.target === null) {
      this.drop('no-original-destination', `from ${socket.remoteAddress}`);
      return;
    }
    if (this.isOwnPort(this.target)) {
      this.drop('own-port', `${this.target.address} port ${this.target.port}`);
      return;
    }
    const { address, port } = this.target;
    const resolution = this.deps.resolver.resolve(address, port, this);
    if (resolution !== null) this.onResolved(resolution);
  }

  onResolved(resolution: Resolution): void {
    if (this.done) {
      // The client left while the answer was on its way.
      this.releaseResolution(resolution);
      return;
    }
    switch (resolution.type) {
      case 'refuse':
        this.refuse(resolution.code, resolution.detail);
        return;
      case 'pass':
        this.heldName = resolution.unsure ? null : resolution.name;
        this.pass();
        return;
      case 'known':
        this.heldName = resolution.destination.name;
        this.carry(resolution.destination);
    }
  }

  /** No new requests; open ones finish. Opaque connections go on until their ends close them. */
  drain(): void {
    this.downstream?.drain();
  }

  destroy(): void {
    this.downstream?.destroy();
    this.tunnel?.destroy();
    resetLink(this.link);
  }

  describe(): OpenConnection {
    const { target, downstream, tunnel } = this;
    const { remoteAddress = '', remotePort = 0 } = this.link.socket;
    return {
      from: destinationName(remoteAddress, remotePort),
      to: target === null ? '' : destinationName(target.address, target.port),
      carries: downstream?.protocol ?? (tunnel === null ? '' : 'TCP'),
      peer: '',
      requests: downstream?.requests ?? 0,
      ageMs: Math.round(this.deps.io.clock.nowMs() - this.sinceMs),
    };
  }

  private releaseResolution(resolution: Resolution): void {
    if (resolution.type === 'known') this.deps.resolver.release(resolution.destination.name);
    else if (resolution.type === 'pass') this.deps.resolver.release(resolution.name);
  }

  private get sourceAddress(): string {
    return this.link.socket.remoteAddress ?? '';
  }

  private isOwnPort({ address, port }: OriginalDestination): boolean {
    if (port === ports.outboundCapture || port === ports.inboundCapture) return true;
    return port === ports.health && this.deps.ownAddresses.has(address);
  }

  // What to do with it.

  private pass(): void {
    const { address, port } = this.target!;
    const endpoint = passThrough(address, port);
    const context = this.context(outsideSeries, destinationName(address, port));
    this.observer = new OutsideTunnel(this.deps.counters.outside, this.target!, this.owner.held);
    this.startRace(context, { endpoints: [endpoint], mode: 'opaque' });
  }

  private carry(destination: PreparedDestination): void {
    const context = this.context(destination.host);
    const { endpoints, workload } = this.deps.store.snapshot();
    const backend = pickWeighted(destination.tcp, this.deps.random());
    const set = backend === null ? undefined : endpoints.get(backend.endpoints);
    const handles = set?.endpoints ?? [];
    const choose = connectionChooser(context, { destination, set, workload }, this.sourceAddress);
    const mode = modeOf(destination.protocol);
    this.startRace(context, { endpoints: handles, mode, destination, choose });
  }

  private startRace(
    context: ExchangeContext,
    plan: {
      endpoints: readonly EndpointHandle[];
      mode: RaceMode;
      destination?: PreparedDestination;
      choose?: OpenDeps['choose'] | undefined;
    },
  ): void {
    const { io, identity } = this.deps;
    const { destination } = plan;
    this.race = new Race(
      {
        link: this.link,
        io,
        mode: plan.mode,
        mayTunnel: true,
        detectMs: this.deps.detectMs ?? defaultDetectMs,
        open: {
          io,
          identity,
          random: this.deps.random,
          choose: plan.choose,
          connectTimeoutMs: destination?.connectTimeoutMs ?? null,
          ...(destination === undefined
            ? {}
            : judgedConnections(context, destination, plan.endpoints)),
          onMismatch: (detail) => logMismatch(context, detail),
        },
        endpoints: plan.endpoints,
        detect,
      },
      {
        onHttp: (detected, first) => {
          if (destination !== undefined) this.serve(context, destination, detected, first);
        },
        onTunnel: (upstream, first) => this.connect(context, { upstream, first, destination }),
        onFailed: (code, detail) => {
          const limited = code === 'destination-limit' && destination !== undefined;
          // With the policy that says so, as a request over it has.
          logRefusal(
            context,
            limited ? limitReply(destination.use, 'maxConnections') : { code, detail },
          );
          this.destroy();
        },
      },
    );
    this.race.start();
  }

  private serve(
    context: ExchangeContext,
    destination: PreparedDestination,
    detected: Detected | 'mesh',
    first: Buffer,
  ): void {
    this.race = null;
    const http2 = detected === 'http2';
    this.startDownstream(context, http2, first, {
      plan: (head) => this.planFor(destination, head, http2),
      traceSampling: () => this.current(destination).traceSampling,
    });
  }

  private planFor(destination: PreparedDestination, head: RequestHead, http2: boolean): Plan {
    const snapshot = this.deps.store.snapshot();
    const current = this.current(destination);
    const caller = snapshot.workload;
    const { sourceAddress, deps: sources } = this;
    const facts = { snapshot, destination: current, caller, http2, sources, sourceAddress };
    return planOutbound(facts, head);
  }

  /** The newest form of it; the one at hand if the operator took it away meanwhile. */
  private current(destination: PreparedDestination): PreparedDestination {
    return this.deps.store.snapshot().destinations.get(destination.name) ?? destination;
  }

  private startDownstream(
    context: ExchangeContext,
    http2: boolean,
    first: Buffer,
    planner: Pick<DownstreamOwner, 'plan' | 'traceSampling'>,
  ): void {
    const { sessions } = this.deps;
    const session = http2 ? sessions.h2Server() : sessions.h1Server();
    context.protocol = http2 ? 'HTTP/2' : 'HTTP/1.1';
    this.downstream = new Downstream(this.link, session, context, {
      ...planner,
      onClosed: () => this.end(),
    });
    this.downstream.start(first);
    if (this.owner.draining) this.downstream.drain();
  }

  private connect(
    context: ExchangeContext,
    to: { upstream: Link; first: Buffer | null; destination: PreparedDestination | undefined },
  ): void {
    this.race = null;
    const { upstream, first, destination } = to;
    const timeoutMs = destination?.tcpIdleTimeoutMs ?? null;
    this.tunnel = new Tunnel(context, { downstream: this.link, upstream }, first, {
      onTunnelDone: () => this.end(),
      ...(timeoutMs === null ? {} : { idle: { timeoutMs, by: destination!.host } }),
      ...(this.observer === null ? {} : { observer: this.observer }),
    });
  }

  /** HTTP callers are told why; others are reset. */
  private refuse(code: ProxyErrorCode, detail: string): void {
    const { address, port } = this.target!;
    const outside = code === 'registry-only';
    const series = outside ? outsideSeries : unknownSeries;
    const context = this.context(series, destinationName(address, port));
    const { io, identity } = this.deps;
    const claimed = new RefusedClaim(this.deps.counters.outside, this.target!);
    const replyFor = () => refusalFor(code, outside ? claimed.count(detail) : detail);
    const reset = () => {
      logRefusal(context, replyFor());
      this.destroy();
    };
    this.race = new Race(
      {
        link: this.link,
        io,
        mode: 'refuse',
        mayTunnel: false,
        detectMs: refusalMs,
        open: { io, identity, random: this.deps.random },
        endpoints: [],
        detect: (bytes) => claimed.detect(bytes),
      },
      {
        onHttp: (detected, first) => {
          this.race = null;
          const reply = replyFor();
          const plan = ({ fields }: RequestHead): Plan => {
            const { grpc } = readFields(fields, false);
            return { type: 'refuse', route: '', reply, grpc };
          };
          this.startDownstream(context, detected === 'http2', first, {
            plan,
            traceSampling: () => null,
          });
        },
        onTunnel: reset,
        onFailed: reset,
      },
    );
    this.race.start();
  }

  private drop(code: ProxyErrorCode, detail: string): void {
    logRefusedConnection(this.context(''), code, detail);
    this.destroy();
  }

  /** Places of no name share a series: addresses that are made up in numbers displace nothing in the mesh. */
  private context(series: string, destination = series): ExchangeContext {
    const { active } = this.owner;
    const of = { direction: 'outbound', destination: series, peer: null, active } as const;
    return { ...contextOf(this.deps, of), destination };
  }

  private onSocketClosed(): void {
    this.race?.cancel();
    if (this.tunnel === null && this.downstream === null) this.end();
  }

  private end(): void {
    if (this.done) return;
    this.done = true;
    if (this.heldName !== null) this.deps.resolver.release(this.heldName);
    else if (this.target !== null)
      this.deps.resolver.cancel(this.target.address, this.target.port, this);
    this.owner.onDone(this);
  }
}

function refusalFor(code: ProxyErrorCode, detail: string): LocalReply {
  if (code !== 'registry-only') return { code, detail };
  return { code, detail, by: { policy: 'Mesh default', rule: '', reason: 'registry-only' } };
}

function passThrough(address: string, port: number): EndpointHandle {
  return {
    key: '',
    address,
    port,
    identity: null,
    podName: '',
    zone: '',
    load: newLoad(),
  };
}
