// What a push of one changed endpoint costs a sidecar that knows 1,000 Services with ten endpoints each: its store, with
// everything that is made ready for choices; in this process.
import type { Balancing, Resource } from '../../proxy/api/resources.ts';
import { createStore } from '../../proxy/state/store.ts';
import { destination, endpoints, route } from '../../test/support/sidecar.ts';
import { row } from './process-figures.ts';

const services = 1_000;
const endpointsEach = 10;
const rounds = 12;
const pushesEach = 500;

const ways: Readonly<Record<string, Balancing | undefined>> = {
  'no policy': undefined,
  'consistent hash': {
    method: 'consistent-hash',
    hash: { by: [{ header: 'x-user' }], loadPercent: 125 },
  },
};

export function benchPushes(): Promise<string[]> {
  const rows = [row('balancing', 'CPU per push, µs: least, median'), row('---', '--:')];
  for (const [name, balancing] of Object.entries(ways)) rows.push(row(name, measured(balancing)));
  return Promise.resolve(rows);
}

function measured(balancing: Balancing | undefined): string {
  const store = createStore();
  let version = 0;
  const push = (resources: readonly Resource[]): void => {
    version += 1;
    const versioned = resources.map((resource) => ({ version: String(version), resource }));
    const [error] = store.apply(versioned, []);
    if (error !== undefined) throw new Error(`${error.key} ${error.path}: ${error.message}`);
  };
  push(Array.from({ length: services }, (_, i) => [service(i, balancing), setOf(i, 0)]).flat());
  const times = Array.from({ length: rounds }, () => {
    const changed = Array.from({ length: pushesEach }, (_, i) =>
      setOf((i * 7) % services, i + version),
    );
    const before = process.threadCpuUsage();
    for (const one of changed) push([one]);
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / pushesEach;
  }).sort((a, b) => a - b);
  return `${times[0]!.toFixed(0)}, ${times[rounds / 2]!.toFixed(0)}`;
}

function service(index: number, balancing: Balancing | undefined): Resource {
  const backends = [{ endpoints: setName(index), weight: 1 }];
  return destination({
    name: `10.97.${index >> 8}.${index & 255}:80`,
    host: `service-${index}.other:80`,
    routes: [route({ backends })],
    tcp: backends,
    ...(balancing === undefined ? {} : { balancing }),
  });
}

/** One of its endpoints is another with each `turn`. */
function setOf(index: number, turn: number): Resource {
  const at = (last: number) => ({
    address: `10.${index >> 8}.${index & 255}.${last}`,
    port: 80,
    family: 'IPv4',
  });
  const list = Array.from({ length: endpointsEach }, (_, i) => at(i === 3 ? 20 + (turn % 200) : i));
  return endpoints(list, 'spiffe://cluster.local/ns/other/sa/app', setName(index));
}

function setName(index: number): string {
  return `other/service-${index}:80`;
}
