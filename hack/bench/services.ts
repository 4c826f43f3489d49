// What known services cost a sidecar: the same requests with 10 and with 5,000
// Destinations and Endpoints in its configuration. In a cluster a sidecar knows only those its pod talks to.

import { Agent, createServer, get } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Resource } from '../../proxy/api/resources.ts';
import { startProcessPair } from '../../test/support/process-pair.ts';
import { destination, endpoints, route } from '../../test/support/sidecar.ts';
import { bundle } from '../images/bundle.ts';
import { repository } from '../lib/paths.ts';
import { cpuSecondsOf, median, memoryOf, row } from './process-figures.ts';

const rounds = 3;
const requests = 4_000;
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

async function askAll(port: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port, agent }, (answer) => {
        answer.resume();
        answer.on('end', resolve);
      }).on('error', reject);
    });
  const client = async (): Promise<void> => {
    for (let asked = 0; asked < requests / clients; asked += 1) await one();
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
}

/** Ten services that a sidecar knows of, and five thousand; it talks to one. */
export async function benchServices(): Promise<string[]> {
  await bundle('proxy/main.ts', 'proxy');
  const rows = [
    row('known services', 'CPU per request of the caller', 'private MB', 'heap MB'),
    row('---', '---', '---', '---'),
  ];
  for (const count of [10, 5_000]) rows.push(await measure(count));
  return rows;
}

async function measure(count: number): Promise<string> {
  const app = createServer((_request, response) => void response.end('ok'));
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const apps = [{ name: 'app', protocol: 'auto' as const, address: app.address() as AddressInfo }];
  const program = join(repository, 'dist/proxy/main.mjs');
  const resources = servicesNobodyCalls(count);
  const pair = await startProcessPair({ apps, program, resources });
  await askAll(pair.entry['app']!);
  const each: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = cpuSecondsOf(pair.caller.pid);
    await askAll(pair.entry['app']!);
    each.push(((cpuSecondsOf(pair.caller.pid) - before) * 1e6) / requests);
  }
  const { privateMb } = memoryOf(pair.caller.pid);
  const heapMb = (await pair.caller.metric('nodejs_heap_size_used_bytes')) / 2 ** 20;
  await pair.close();
  app.close();
  return row(String(count), `${median(each).toFixed(0)} µs`, privateMb, heapMb);
}
