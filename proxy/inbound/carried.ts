// What one inbound connection carries once it is known what it speaks: HTTP requests, or the bytes of a
// tunnel. Asks for each whether it may reach the app, and again when the policies change.

import type { RequestHead, ServerSession } from '../codec/session.ts';
import { contextOf, type ExchangeContext } from '../exchange/context.ts';
import { Downstream } from '../exchange/downstream.ts';
import type { LocalReply } from '../exchange/local-reply.ts';
import type { Plan } from '../exchange/plan.ts';
import { readSourceWorkload } from '../exchange/mesh-fields.ts';
import { readFields } from '../exchange/request-fields.ts';
import { Tunnel } from '../exchange/tunnel.ts';
import type { Link } from '../net/link.ts';
import type { OriginalDestination } from '../net/original-destination.ts';
import { callerOf, plainAddress } from '../policy/authorization/caller.ts';
import type { EndpointHandle, PreparedWorkload } from '../state/prepared.ts';
import { admit, judge, type Arrival } from './authorize.ts';
import type { InboundDeps } from './deps.ts';
import {
  clientCertOf,
  planInbound,
  planLate,
  portOf,
  refusalOf,
  type InboundFacts,
} from './plan.ts';
import { limitConnection, limitRequest } from './rate-limit.ts';

export interface CarriedOwner {
  readonly active: { requests: number };
  readonly draining: boolean;
  /** The app is about to end: nothing new reaches it. */
  readonly refusing: boolean;
  /** The one handle of an app's address and port. */
  appAt(target: OriginalDestination): EndpointHandle;
}

export class Carried {
  readonly context: ExchangeContext;
  private readonly deps: InboundDeps;
  private readonly owner: CarriedOwner;
  private readonly link: Link;
  private readonly arrival: Arrival;
  private readonly onEnd: () => void;
  private readonly app: readonly EndpointHandle[];
  private downstream: Downstream | null = null;
  private tunnel: Tunnel | null = null;

  constructor(
    deps: InboundDeps,
    owner: CarriedOwner,
    of: { link: Link; target: OriginalDestination },
    onEnd: () => void,
  ) {
    const { link, target } = of;
    const { active } = owner;
    this.deps = deps;
    this.owner = owner;
    this.link = link;
    this.onEnd = onEnd;
    this.app = [owner.appAt(target)];
    this.arrival = {
      caller: callerOf(link.peer?.id ?? '', link.raw.remoteAddress ?? ''),
      target: { address: plainAddress(target.address), port: target.port },
    };
    this.context = contextOf(deps, {
      direction: 'inbound',
      destination: String(target.port),
      peer: link.peer,
      peerAddress: this.arrival.caller.address,
      active,
    });
  }

  /** Nothing is carried yet. */
  get idle(): boolean {
    return this.downstream === null && this.tunnel === null;
  }

  /** For people; empty: nothing yet. */
  get carries(): string {
    return this.downstream?.protocol ?? (this.tunnel === null ? '' : 'TCP');
  }

  get requests(): number {
    return this.downstream?.requests ?? 0;
  }

  get isTunnel(): boolean {
    return this.tunnel !== null;
  }

  /** `http2`: see InboundFacts. */
  serve(session: ServerSession, http2: boolean | null, first: Buffer | null): void {
    const { deps, link, app } = this;
    const { peer } = link;
    const own = deps.identity.current()?.spiffeId ?? '';
    const clientCert = peer === null ? '' : clientCertOf(peer, own);
    const facts: InboundFacts = { peer, http2, clientCert, app };
    this.context.protocol = http2 === false ? 'HTTP/1.1' : 'HTTP/2';
    this.downstream = new Downstream(link, session, this.context, {
      plan: (head) => this.plan(facts, head),
      traceSampling: () => this.deps.tracer.samplingOfPort(this.arrival.target.port),
      onClosed: this.onEnd,
    });
    this.downstream.start(first);
    if (this.owner.draining) this.drain();
  }

  /** More connections came from this peer than a policy allows; null: it may go on. Asked once. */
  limitOfPeer(): LocalReply | null {
    const limits = this.deps.store.snapshot().workload?.rateLimits.connections ?? null;
    if (limits === null) return null;
    return limitConnection(limits, this.arrival, true, this.deps.io.clock.nowMs());
  }

  /** What is opaque may not start, and why; null: it may. */
  refusalOfTunnel(): LocalReply | null {
    return this.refusalOf(null, judge);
  }

  /** `upstream` is open; no byte was sent on it. A refusal is the caller's to carry out. */
  connect(upstream: Link, first: Buffer | null): LocalReply | null {
    const { link, context, onEnd } = this;
    const refusal = this.refusalOf(null, admit);
    if (refusal !== null) return refusal;
    const links = { downstream: link, upstream };
    this.tunnel = new Tunnel(context, links, first, { onTunnelDone: onEnd });
    return null;
  }

  /** Policies have changed: ends what they do not allow any more. Returns how much was judged. */
  judgeAnew(): number {
    if (this.tunnel !== null) {
      const refusal = this.refusalOf(null, judge);
      if (refusal !== null) this.tunnel.refuse(refusal);
      return 1;
    }
    return this.downstream?.judgeAnew((request) => this.refusalOf(request, judge)) ?? 0;
  }

  /** Of this connection alone, or because the pod goes. */
  drain(): void {
    this.downstream?.drain(this.owner.draining);
  }

  destroy(): void {
    this.downstream?.destroy();
    this.tunnel?.destroy();
  }

  /** The port's mode and the policies may change while the connection lives: asked for each request. */
  private plan(facts: InboundFacts, head: RequestHead): Plan {
    if (facts.peer !== null && this.context.peerWorkload === '')
      this.context.peerWorkload = readSourceWorkload(head);
    if (this.owner.refusing) return planLate(facts.peer, head);
    const { workload } = this.deps.store.snapshot();
    const { port } = this.arrival.target;
    if (workload === null) return refuse(head, notReady(port));
    const plan = planInbound(facts, portOf(workload, port), head, this.deps.nextRequestId);
    if (plan.type !== 'forward') return plan;
    const refusal = this.refusalByPolicy(workload, plan.head);
    return refusal === null ? plan : { type: 'refuse', route: '', reply: refusal, grpc: plan.grpc };
  }

  /** `head` as the app is to get it: what claimed to be the mesh's was stripped before rules look at fields. */
  private refusalByPolicy(workload: PreparedWorkload, head: RequestHead): LocalReply | null {
    const { authorizer, rateLimits } = workload;
    const { arrival, context, deps } = this;
    const refusal = authorizer.active ? admit(authorizer, arrival, head, context) : null;
    if (refusal !== null || rateLimits.requests === null) return refusal;
    return limitRequest(rateLimits.requests, arrival, head, deps.io.clock.nowMs());
  }

  private refusalOf(request: RequestHead | null, ask: typeof admit): LocalReply | null {
    const { arrival, context, link } = this;
    const { workload } = this.deps.store.snapshot();
    if (workload === null) return notReady(arrival.target.port);
    const { authorizer } = workload;
    const refusal = refusalOf(portOf(workload, arrival.target.port), link.peer);
    if (refusal !== null || !authorizer.active) return refusal;
    return ask(authorizer, arrival, request, context);
  }
}

/** The configuration was taken away: nobody knows what may come in. */
function notReady(port: number): LocalReply {
  return { code: 'not-ready', detail: `port ${port}` };
}

function refuse({ fields }: RequestHead, reply: LocalReply): Plan {
  return { type: 'refuse', route: '', reply, grpc: readFields(fields, true).grpc };
}
