// What known services cost a sidecar: the same requests with 10 and with 5,000
// Destinations and Endpoints in its configuration. In a cluster a sidecar knows only those its pod talks to.

import { Agent, createServer, get } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Resource } from '../../proxy/api/resources.ts';
import { startProcessPair, type ProcessPair } from '../../test/support/process-pair.ts';
import { destination, endpoints, route } from '../../test/support/sidecar.ts';
import { bundle } from '../images/bundle.ts';
import { repository } from '../lib/paths.ts';
import { cpuSecondsOf, median, memoryOf, row } from './process-figures.ts';

const rounds = 8;
const requests = 8_000;
const warmingRequests = 20_000;
const clients = 16;

/** Services with two endpoints each that nobody calls. */
function servicesNobodyCalls(count: number): Resource[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `other/service-${index}:80`;
    const backends = [{ endpoints: name, weight: 1 }];
    const at = (last: number) => ({
      address: `10.9.${index % 250}.${last}`,
      port: 80,
      family: 'IPv4',
    });
    return [
      destination({
        name: `10.97.${index >> 8}.${index & 255}:80`,
        host: `service-${index}.other:80`,
        routes: [route({ backends })],
        tcp: backends,
      }),
      endpoints([at(1), at(2)], 'spiffe://cluster.local/ns/other/sa/app', name),
    ];
  }).flat();
}

async function askAll(port: number, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port, agent }, (answer) => {
        answer.resume();
        answer.on('end', resolve);
      }).on('error', reject);
    });
  const client = async (): Promise<void> => {
    for (let asked = 0; asked < count / clients; asked += 1) await one();
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
}

interface Subject {
  known: number;
  pair: ProcessPair;
  /** Of each round, in microseconds. */
  cpuPerRequest: number[];
}

/**
 * Ten services that a sidecar knows of, and five thousand; it talks to one. Both at once and in turn: V8 makes code
 * faster for some ten thousand requests, and a busy machine is not the same a minute later.
 */
export async function benchServices(): Promise<string[]> {
  await bundle('proxy/main.ts', 'proxy');
  const app = createServer((_request, response) => void response.end('ok'));
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const subjects = [
    await start(10, app.address() as AddressInfo),
    await start(5_000, app.address() as AddressInfo),
  ];
  try {
    for (const { pair } of subjects) await askAll(pair.entry['app']!, warmingRequests);
    for (let round = 0; round < rounds; round += 1) {
      for (const subject of round % 2 === 0 ? subjects : subjects.toReversed())
        await measure(subject);
    }
    return await figures(subjects);
  } finally {
    for (const { pair } of subjects) await pair.close();
    app.close();
  }
}

async function start(known: number, address: AddressInfo): Promise<Subject> {
  const apps = [{ name: 'app', protocol: 'auto' as const, address }];
  const program = join(repository, 'dist/proxy/main.mjs');
  const resources = servicesNobodyCalls(known);
  const pair = await startProcessPair({ apps, program, resources });
  return { known, pair, cpuPerRequest: [] };
}

async function measure({ pair, cpuPerRequest }: Subject): Promise<void> {
  const before = cpuSecondsOf(pair.caller.pid);
  await askAll(pair.entry['app']!, requests);
  cpuPerRequest.push(((cpuSecondsOf(pair.caller.pid) - before) * 1e6) / requests);
}

async function figures(subjects: readonly Subject[]): Promise<string[]> {
  const rows = [
    row('known services', 'CPU per request of the caller', 'private MB', 'heap MB'),
    row('---', '---', '---', '---'),
  ];
  for (const { known, pair, cpuPerRequest } of subjects) {
    const { privateMb } = memoryOf(pair.caller.pid);
    const heapMb = (await pair.caller.metric('nodejs_heap_size_used_bytes')) / 2 ** 20;
    const [least, most] = [Math.min(...cpuPerRequest), Math.max(...cpuPerRequest)];
    const cpu = `${median(cpuPerRequest).toFixed(0)} (${least.toFixed(0)}–${most.toFixed(0)}) µs`;
    rows.push(row(String(known), cpu, privateMb, heapMb));
  }
  return rows;
}
