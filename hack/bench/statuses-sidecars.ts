// Simulated sidecars for the bench of statuses, in a process of their own: real streams over mutual TLS, from addresses of
// their own, that report traffic nobody makes.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { noTraffic, packTraffic, type TrafficCounters } from '../../proxy/api/statistics.ts';
import type { TlsMaterial } from '../../operator/ca/types.ts';
import { TestSidecar } from '../../operator/discovery/test-sidecar.ts';

export interface SimulatedPod {
  namespace: string;
  name: string;
  uid: string;
  ip: string;
  /** SPIFFE identities, from whom it is called. */
  callers: string[];
  /** Its namespace is among those that `half` means. */
  even: boolean;
}

/** In none of the namespaces, in every second one, in all; its rates and times change all the time. */
export type Traffic = 'none' | 'half' | 'all';

interface Start {
  port: number;
  pods: SimulatedPod[];
  /** By namespace. */
  materials: Record<string, TlsMaterial>;
}

const reportMs = 3_000;
const changeMs = 8_000;
/** Connections begun at once. */
const together = 50;

export interface SimulatedSidecars {
  setTraffic(traffic: Traffic): void;
  end(): void;
}

/** Returns when all are connected and configured. */
export async function startSidecars(start: Start): Promise<SimulatedSidecars> {
  const child = fork(import.meta.filename, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.send(start);
  const [said] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as unknown[];
  if (said !== 'connected')
    throw new Error(`the simulated sidecars did not connect: ${String(said)}`);
  return {
    setTraffic: (traffic) => void child.send({ traffic }),
    end: () => void child.kill(),
  };
}

class Simulated {
  readonly #even: boolean;
  readonly #stream: TestSidecar;
  readonly #callers: { identity: string; counters: TrafficCounters }[];
  readonly #inbound = noTraffic();
  readonly #startedAtMs = Date.now();
  #rate = 5 + Math.random() * 45;
  #latency = 40 + Math.floor(Math.random() * 60);

  constructor(pod: SimulatedPod, { port, materials }: Start) {
    this.#even = pod.even;
    const { namespace, name, uid, ip } = pod;
    this.#stream = new TestSidecar({ port, material: materials[namespace]!, localAddress: ip });
    this.#callers = pod.callers.map((identity) => ({ identity, counters: noTraffic() }));
    const me = { namespace, name, uid, ips: [ip] };
    this.#stream.send({ hello: { pod: me, proxyVersion: '0.1.0', held: {}, subscribe: [] } });
  }

  async connected(): Promise<void> {
    const stream = this.#stream;
    await stream.until(() => stream.pushes.length > 0 || stream.status !== null);
    if (stream.status !== null) throw new Error(JSON.stringify(stream.status));
  }

  change(): void {
    this.#rate = 5 + Math.random() * 45;
    this.#latency = 40 + Math.floor(Math.random() * 60);
  }

  report(traffic: Traffic): void {
    if (traffic === 'all' || (traffic === 'half' && this.#even)) this.#serve();
    const callers = this.#callers.map(({ identity, counters }) => {
      return { identity, address: '', ...packTraffic(counters) };
    });
    const certificate = { serial: 'AB', notAfterMs: this.#startedAtMs + 86_400_000 };
    const own = { startedAtMs: this.#startedAtMs, inbound: this.#inbound, outbound: noTraffic() };
    this.#stream.send({ statistics: { ...own, callers, certificate } });
  }

  #serve(): void {
    const { length } = this.#callers;
    for (const { counters } of this.#callers) {
      const requests = poisson((this.#rate * reportMs) / 1000 / length);
      for (const one of [counters, this.#inbound]) {
        one.requests += requests;
        one.mtlsRequests += requests;
        one.failures += Math.random() < 0.01 ? 1 : 0;
        one.latency[this.#latency]! += requests;
      }
    }
  }
}

/** Close enough to it: the normal distribution with the same mean and variance. */
function poisson(mean: number): number {
  const normal =
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
}

async function simulate(start: Start): Promise<void> {
  const all: Simulated[] = [];
  for (let from = 0; from < start.pods.length; from += together) {
    const some = start.pods.slice(from, from + together).map((pod) => new Simulated(pod, start));
    await Promise.all(some.map((one) => one.connected()));
    all.push(...some);
  }
  let traffic: Traffic = 'none';
  for (const [index, one] of all.entries()) {
    const offsetMs = (index / all.length) * reportMs;
    setTimeout(() => setInterval(() => one.report(traffic), reportMs), offsetMs);
  }
  setInterval(() => {
    for (const one of all) one.change();
  }, changeMs);
  process.on('message', (message) => ({ traffic } = message as { traffic: Traffic }));
  process.send!('connected');
}

if (process.argv[1] === import.meta.filename) {
  process.once('message', (start) => {
    simulate(start as Start).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  });
}
