// What discovery costs the operator: model, translation and server of the operator in this process, the
// sidecars (real mutual TLS, one connection each) in a child process. No Kubernetes API.
//
//   node test/bench/discovery-scale.ts [--services 1000] [--sidecars 100] [--destinations 20] [--rounds 30]

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { formatSpiffeId } from '../../proxy/api/spiffe.ts';
import { noTraffic } from '../../proxy/api/statistics.ts';
import { createRoot, loadAuthority } from '../../operator/ca/authority.ts';
import type { TlsMaterial } from '../../operator/ca/types.ts';
import { createDiscoveryMetrics } from '../../operator/discovery/metrics.ts';
import { createDiscoveryServer } from '../../operator/discovery/server.ts';
import { TestSidecar } from '../../operator/discovery/test-sidecar.ts';
import { createModel } from '../../operator/model/model.ts';
import { mesh, pod, service, slice, trafficPolicy } from '../../operator/model/test-objects.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { indexProgrammed } from '../../operator/telemetry/programmed.ts';
import { shapedBy } from '../../operator/translate/translated.ts';
import { createTranslations } from '../../operator/translate/translations.ts';

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000' },
    sidecars: { type: 'string', default: '100' },
    destinations: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '30' },
  },
});
const services = Number(values.services);
const sidecars = Number(values.sidecars);
const destinations = Number(values.destinations);
const rounds = Number(values.rounds);

interface Start {
  port: number;
  material: TlsMaterial;
  sidecars: number;
  services: number;
  destinations: number;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const podAddress = (i: number) => `127.1.${i >> 8}.${i & 255}`;
const serviceAddress = (i: number) => `10.96.${i >> 8}.${i & 255}`;

if (process.send === undefined) await operator();
else process.once('message', (start) => void simulate(start as Start));

/** The child: all sidecars. */
async function simulate(start: Start): Promise<void> {
  const none = { ...noTraffic(), requests: 1, mtlsRequests: 1 };
  const statistics = { startedAtMs: 1, inbound: none, outbound: none, certificate: null };
  const all = Array.from({ length: start.sidecars }, (_, i) => {
    const { port, material } = start;
    const one = new TestSidecar({ port, material, localAddress: podAddress(i) });
    const name = `client-${i}`;
    const ips = [podAddress(i)];
    const others = Array.from({ length: start.destinations - 1 }, (_, j) => {
      return `${serviceAddress(1 + ((i * 7 + j) % (start.services - 1)))}:80`;
    });
    const subscribe = [`${serviceAddress(0)}:80`, ...new Set(others)];
    const me = { namespace: 'shop', name, uid: `uid-pod-shop-${name}`, ips };
    one.send({ hello: { pod: me, proxyVersion: 'bench', held: {}, subscribe } });
    return one;
  });
  await Promise.all(
    all.map((one) => one.until(() => one.pushes.length > 0 || one.status !== null)),
  );
  process.send!('connected');
  setInterval(() => {
    for (const one of all) one.send({ statistics });
  }, 5000);
}

/** The parent: the operator's part, and the figures. */
async function operator(): Promise<void> {
  const loaded = loadAuthority(createRoot('cluster.local', 86_400_000, Date.now()), Date.now());
  if (!loaded.ok) throw new Error(loaded.problem.message);
  const issue = (namespace: string, serviceAccount: string) => {
    const uri = formatSpiffeId({ trustDomain: 'cluster.local', namespace, serviceAccount });
    const request = { uris: [uri], dnsNames: [], lifetimeMs: 3_600_000 };
    return loaded.authority.issue(request, Date.now());
  };
  const own = issue('tsmesh-system', 'tsmesh-operator');
  const translations = createTranslations();
  const metrics = createDiscoveryMetrics();
  const server = createDiscoveryServer({
    identity: { current: () => own, onChange: () => () => undefined },
    clock: systemClock,
    translations,
    metrics,
    replica: 'bench',
    log: () => undefined,
  });
  const model = createModel({ clock: systemClock });
  model.onView((view, change) => server.onView(view, change));
  const filled = performance.now();
  fillModel(model);
  model.flush();
  report('model of the cluster filled', `${ms(performance.now() - filled)} ms`);
  const port = await server.listen(0, '127.0.0.1');
  await pause(1000);
  await load('idle', 5000);

  const child = fork(import.meta.filename, process.argv.slice(2));
  const began = performance.now();
  const connected = message(child);
  const material = issue('shop', 'client');
  child.send({ port, material, sidecars, services, destinations } satisfies Start);
  await connected;
  report(`${sidecars} sidecars connected and configured`, `${ms(performance.now() - began)} ms`);
  await settled();
  await load(`with ${sidecars} sidecars`, 10_000);

  const policy = (generation: number) =>
    trafficPolicy(
      'shop/bench',
      { service: { name: 'service-0' }, timeout: `${generation}s` },
      { generation },
    );
  await series('policy change → acknowledged by all sidecars', async (round) => {
    model.upsert('TrafficPolicy', policy(round));
    await until(() => status(policy(round)) === 'True');
  });
  await series('one pod of one Service gone → acknowledged by all sidecars', async (round) => {
    model.upsert('EndpointSlice', endpoints(0, round % 2 === 0));
    model.flush();
    await until(() => status(policy(rounds)) === 'True' && isInSync());
  });
  const translated = performance.now();
  for (let i = 0; i < services; i += 1) {
    translations.destination('other', `${serviceAddress(i)}:80`);
  }
  report(`${services} Destinations translated`, `${ms(performance.now() - translated)} ms`);
  const pushes = `${metrics.pushes} pushes, ${metrics.bytesPushed >> 10} KiB in all`;
  report('sent', pushes);
  child.kill();
  await server.close();

  function inputs() {
    return { translations, streams: server.streams(), observed: new Map() };
  }
  function status(one: ReturnType<typeof policy>): string {
    return indexProgrammed(inputs()).status(shapedBy('TrafficPolicy', one)).status;
  }
  function isInSync(): boolean {
    return indexProgrammed(inputs()).inSync.size === sidecars;
  }
  function until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const stop = server.onStreamsChanged(() => {
        if (!condition()) return;
        stop();
        resolve();
      });
    });
  }
  async function settled(): Promise<void> {
    if (!isInSync()) await until(isInSync);
  }
}

function fillModel(model: ReturnType<typeof createModel>): void {
  model.upsert('Mesh', mesh());
  for (let i = 0; i < sidecars; i += 1) {
    const owner = { kind: 'ReplicaSet', name: `client-${i}` };
    const options = { ip: podAddress(i), serviceAccount: 'client', owner };
    model.upsert('Pod', pod(`shop/client-${i}`, options));
  }
  for (let i = 0; i < services; i += 1) {
    const labels = { app: `service-${i}` };
    for (const replica of [0, 1]) {
      const options = { ip: endpointAddress(i, replica), labels, ready: false };
      model.upsert('Pod', pod(`shop/service-${i}-${replica}`, options));
    }
    const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
    model.upsert('Service', service(`shop/service-${i}`, serviceAddress(i), ports));
    model.upsert('EndpointSlice', endpoints(i, true));
  }
}

function endpointAddress(i: number, replica: number): string {
  return `10.${244 + replica}.${i >> 8}.${i & 255}`;
}

function endpoints(i: number, both: boolean) {
  const list = [0, ...(both ? [1] : [])].map((replica) => {
    return { address: endpointAddress(i, replica), pod: `service-${i}-${replica}` };
  });
  return slice(`shop/service-${i}`, list, [{ name: 'http', port: 8080 }]);
}

async function series(name: string, run: (round: number) => Promise<void>): Promise<void> {
  const times: number[] = [];
  const cpu = process.cpuUsage();
  for (let round = 1; round <= rounds; round += 1) {
    const began = performance.now();
    await run(round);
    times.push(performance.now() - began);
    await pause(50);
  }
  times.sort((a, b) => a - b);
  const { user, system } = process.cpuUsage(cpu);
  const at = (share: number) => ms(times[Math.floor((times.length - 1) * share)]!);
  const each = ms((user + system) / 1000 / rounds);
  report(name, `median ${at(0.5)} ms, worst ${at(1)} ms; ${each} ms CPU each`);
}

async function load(name: string, forMs: number): Promise<void> {
  const cpu = process.cpuUsage();
  await pause(forMs);
  const { user, system } = process.cpuUsage(cpu);
  const percent = ((user + system) / 10 / forMs).toFixed(2);
  const { rss, heapUsed } = process.memoryUsage();
  const mib = (bytes: number) => `${Math.round(bytes / (1 << 20))} MiB`;
  report(
    name,
    `RSS ${mib(rss)}, private ${mib(privateBytes())}, heap ${mib(heapUsed)}; CPU ${percent} % of a core`,
  );
}

function privateBytes(): number {
  const text = readFileSync('/proc/self/smaps_rollup', 'utf8');
  const kib = [...text.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].map((match) => Number(match[1]));
  return kib.reduce((a, b) => a + b, 0) * 1024;
}

function message(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.once('message', resolve));
}

function ms(value: number): string {
  return value.toFixed(1);
}

function report(name: string, figure: string): void {
  console.log(`${name}: ${figure}`);
}
