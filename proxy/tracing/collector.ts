// Where batches of spans go: a Service of the mesh, called as the pod's app would call it, with mutual TLS where its pods have
// sidecars; or any other host. It chooses who gets a batch; how one is sent is send.ts and send-tls.ts.

import type { CollectorSettings } from '../api/tracing.ts';
import type { StreamSource } from '../exchange/context.ts';
import type { Io } from '../net/link.ts';
import type { Resolution, Resolver, Waiter } from '../outbound/resolver.ts';
import { chooseEndpoint, newLoad } from '../policy/load.ts';
import type { EndpointHandle, PreparedDestination } from '../state/prepared.ts';
import type { Store } from '../state/store.ts';
import { later, never } from './answer.ts';
import { formatTraceparent } from './context.ts';
import type { ExportResult, SendBatch } from './exporter.ts';
import type { TraceIds } from './ids.ts';
import { CollectorRequest, httpPath, type CollectorTarget } from './send.ts';
import { createTlsSender, type TlsSender } from './send-tls.ts';

export interface CollectorDeps {
  io: Io;
  pool: StreamSource;
  resolver: Pick<Resolver, 'resolve' | 'cancel' | 'release'>;
  store: Pick<Store, 'snapshot'>;
  /** From 0 up to 1. */
  random: () => number;
  ids: TraceIds;
}

type Done = (result: ExportResult) => void;

export class Collector {
  private readonly deps: CollectorDeps;
  private settings: CollectorSettings | null = null;
  private url = new URL('http://none');
  private tls: TlsSender | null = null;

  constructor(deps: CollectorDeps) {
    this.deps = deps;
  }

  set(settings: CollectorSettings | null): void {
    if (JSON.stringify(settings) === JSON.stringify(this.settings)) return;
    this.settings = settings;
    this.tls?.close();
    this.tls = null;
    if (settings !== null) this.url = new URL(settings.endpoint);
  }

  readonly send: SendBatch = (body, _spans, done) => {
    const { settings, url } = this;
    if (settings === null) return done(never);
    if (url.protocol === 'https:') {
      this.tls ??= createTlsSender(settings.protocol, url, this.deps.io.clock);
      return this.tls.send(body, done);
    }
    const { destination } = settings;
    if (destination !== undefined) return this.sendInMesh(body, destination, done);
    this.post(outsideHandle(url), body, done);
  };

  close(): void {
    this.tls?.close();
    this.tls = null;
  }

  private sendInMesh(
    body: Buffer,
    { address, port }: { address: string; port: number },
    done: Done,
  ) {
    const waiter: Waiter = { onResolved: (resolution) => this.onResolved(resolution, body, done) };
    const resolution = this.deps.resolver.resolve(address, port, waiter);
    if (resolution !== null) waiter.onResolved(resolution);
  }

  private onResolved(resolution: Resolution, body: Buffer, done: Done): void {
    const { resolver } = this.deps;
    switch (resolution.type) {
      case 'refuse':
        return done(later);
      case 'pass':
        if (!resolution.unsure) resolver.release(resolution.name);
        // Its Service is gone, or nobody could say: its name may be known yet.
        return this.post(outsideHandle(this.url), body, done);
      case 'known': {
        const { destination } = resolution;
        const endpoint = this.endpointOf(destination);
        if (endpoint === null) {
          resolver.release(destination.name);
          return done(later);
        }
        return this.post(endpoint, body, (result) => {
          resolver.release(destination.name);
          done(result);
        });
      }
    }
  }

  private endpointOf({ tcp }: PreparedDestination): EndpointHandle | null {
    const { store, random, io } = this.deps;
    const [backend] = tcp.list;
    if (backend === undefined) return null;
    const endpoints = store.snapshot().endpoints.get(backend.endpoints)?.endpoints ?? [];
    return chooseEndpoint(endpoints, [], random, io.clock.nowMs());
  }

  private post(endpoint: EndpointHandle, body: Buffer, done: Done): void {
    const { ids } = this.deps;
    const target: CollectorTarget = {
      endpoint,
      protocol: this.settings?.protocol ?? 'grpc',
      authority: this.url.host,
      path: httpPath(this.url),
      traceparent: formatTraceparent(ids.traceId(), ids.spanId(), false),
    };
    new CollectorRequest(this.deps, target, body, done).start();
  }
}

function outsideHandle({ hostname, port }: URL): EndpointHandle {
  const address = hostname.replace(/^\[|\]$/g, '');
  const number = port === '' ? 80 : Number(port);
  return {
    key: `${address}:${number}|collector`,
    address,
    port: number,
    identity: null,
    podName: '',
    zone: '',
    load: newLoad(),
  };
}
