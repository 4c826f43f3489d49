// What one thread of a sidecar has open, and what its balancer knows of each endpoint: read when somebody asks. It changes nothing.

import type { OpenConnection } from '../exchange/side.ts';
import type { PooledView } from '../pool/http-pool.ts';
import type { Store } from '../state/store.ts';
import type { LoopDelay } from '../telemetry/event-loop.ts';

/** Of each list; what is beyond is counted. */
export const mostListed = 500;

export interface EndpointView {
  at: string;
  podName: string;
  zone: string;
  meshed: boolean;
  inFlight: number;
  /** Milliseconds; null: it was not asked yet. */
  answerMs: number | null;
  failedShare: number;
  ejected: boolean;
}

/** A list that is cut where it is made: threads send it to each other. */
export interface Listed<T> {
  count: number;
  listed: T[];
}

export function listed<T>(all: readonly T[]): Listed<T> {
  return { count: all.length, listed: all.slice(0, mostListed) };
}

export interface ThreadView {
  inbound: Listed<OpenConnection>;
  outbound: Listed<OpenConnection>;
  pool: Listed<PooledView>;
  endpoints: { name: string; endpoints: EndpointView[] }[];
  eventLoop: LoopDelay['recent'];
}

export function endpointViews({ snapshot }: Pick<Store, 'snapshot'>): ThreadView['endpoints'] {
  return [...snapshot().endpoints.values()].map(({ name, endpoints }) => ({
    name,
    endpoints: endpoints.map(({ address, port, podName, zone, identity, load }) => ({
      at: `${address.includes(':') ? `[${address}]` : address}:${port}`,
      podName,
      zone,
      meshed: identity !== null,
      inFlight: load.inFlight,
      answerMs: load.ewmaMs === 0 ? null : Math.round(load.ewmaMs * 100) / 100,
      failedShare: Math.round(load.failures * 1000) / 1000,
      ejected: load.health !== null && load.health.outUntilMs !== 0,
    })),
  }));
}

/** Endpoints as all threads see them: requests in sum, the time of the slowest, ejected where one thread leaves it out. */
export function mergedEndpoints(threads: readonly ThreadView[]): ThreadView['endpoints'] {
  const [own, ...others] = threads;
  return (own?.endpoints ?? []).map(({ name, endpoints }) => ({
    name,
    endpoints: endpoints.map((one) => {
      const same = others.flatMap((thread) => {
        const set = thread.endpoints.find((found) => found.name === name);
        return set?.endpoints.filter(({ at }) => at === one.at) ?? [];
      });
      return same.reduce(together, one);
    }),
  }));
}

function together(a: EndpointView, b: EndpointView): EndpointView {
  const answers = [a.answerMs, b.answerMs].filter((ms) => ms !== null);
  return {
    ...a,
    inFlight: a.inFlight + b.inFlight,
    answerMs: answers.length === 0 ? null : Math.max(...answers),
    failedShare: Math.max(a.failedShare, b.failedShare),
    ejected: a.ejected || b.ejected,
  };
}

/** Connections of all threads, each with the number of its own; bounded. */
export function mergedConnections(threads: readonly ThreadView[]): unknown {
  const list = <T extends object>(read: (thread: ThreadView) => Listed<T>) => {
    const all = threads.flatMap((view, thread) =>
      read(view).listed.map((one) => ({ thread, ...one })),
    );
    const count = threads.reduce((sum, view) => sum + read(view).count, 0);
    return { count, listed: all.slice(0, mostListed) };
  };
  return {
    inbound: list((thread) => thread.inbound),
    outbound: list((thread) => thread.outbound),
    pool: list((thread) => thread.pool),
  };
}
