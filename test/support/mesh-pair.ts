// Test support: a caller's and a callee's sidecar on loopback, joined by mutual TLS, with an app behind
// the callee's.

import http from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import type { DestinationResource, Resource, WorkloadResource } from '../../proxy/api/resources.ts';
import type { H2Options } from '../../proxy/codec/h2-options.ts';
import { testAuthority, type NewIdentity } from './identities.ts';
import {
  destination,
  endpoints,
  loopback,
  service,
  startSidecar,
  workload,
  type TestSidecar,
} from './sidecar.ts';

export interface MeshPair {
  caller: TestSidecar;
  callee: TestSidecar;
  issue: NewIdentity;
  /** Puts another form of the one destination in force at the caller. */
  route(over: Partial<DestinationResource>, ...more: Resource[]): void;
  close(): void;
}

export async function listenOn(server: Server): Promise<AddressInfo> {
  await new Promise<void>((resolve) => server.listen(0, loopback, resolve));
  return server.address() as AddressInfo;
}

/** `app` listens already. */
export async function startPair(
  app: AddressInfo,
  settings: Partial<WorkloadResource> = {},
  h2: Partial<H2Options> = {},
): Promise<MeshPair> {
  const caller = await startSidecar('caller', h2);
  const callee = await startSidecar('callee', h2);
  const issue = testAuthority();
  caller.identity.swap(issue('caller'));
  const own = callee.identity.swap(issue('callee'));
  callee.target.inbound = { address: app.address, port: app.port };
  caller.target.outbound = service;
  callee.apply({ ...workload({ mtls: 'STRICT' }), ...settings });
  const peer = endpoints(callee.inbound.address, own.spiffeId);
  caller.apply(workload(), destination(), peer);
  return {
    caller,
    callee,
    issue,
    route: (over, ...more) => caller.apply(destination(over), ...more),
    close() {
      caller.close();
      callee.close();
    },
  };
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  rawHeaders: string[];
  trailers: NodeJS.Dict<string>;
  body: Buffer;
}

export interface Call extends http.RequestOptions {
  port: number;
  body?: Buffer | string;
}

/** One HTTP/1.1 request to a sidecar's port. */
export function call(options: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: loopback, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          trailers: response.trailers,
          body: Buffer.concat(chunks),
        }),
      );
    });
    request.on('error', reject);
    request.end(options.body);
  });
}

/** So many of the same, a few at a time over connections that are kept. */
export async function callMany(count: number, options: Call): Promise<Answer[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  try {
    const calls = Array.from({ length: count }, () => call({ ...options, agent }));
    return await Promise.all(calls);
  } finally {
    agent.destroy();
  }
}

/** Resolves as soon as the condition holds; rejects with its text after 5 s, or the time given. */
export async function until(what: string, holds: () => boolean, withinMs = 5_000): Promise<void> {
  const startedMs = performance.now();
  while (!holds()) {
    if (performance.now() - startedMs > withinMs)
      throw new Error(`not within ${withinMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
