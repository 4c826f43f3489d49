// The proxies of the live comparison: one sidecar, or one Envoy, before the same backends on loopback, in plaintext.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Balancing, Resource } from '../../proxy/api/resources.ts';
import type { LocalFile } from '../../proxy/api/validate.ts';
import { environments, nodeFlags } from '../images/runtime.ts';
import { freePorts } from '../lib/free-ports.ts';
import { launch, type Running } from './peers/launch.ts';
import { shippedBundle } from './peers/tools.ts';

export interface Proxy {
  readonly port: number;
  readonly running: Running;
}

export type StartProxy = (folder: string, backends: readonly number[]) => Promise<Proxy>;

const service = '10.99.0.1:80';

export function sidecar(balancing: Balancing | null): StartProxy {
  return async (folder, backends) => {
    const [port, health] = (await freePorts(2)) as [number, number];
    const file = join(folder, `sidecar-${port}.json`);
    const content: LocalFile = {
      health: `127.0.0.1:${health}`,
      logLevel: 'error',
      outbound: [{ listen: `127.0.0.1:${port}`, destination: service }],
      resources: resources(balancing, backends),
    };
    writeFileSync(file, JSON.stringify(content));
    const running = await launch({
      program: process.execPath,
      args: [...(nodeFlags.proxy ?? []), shippedBundle],
      env: { ...environments.proxy, TSMESH_CONFIG_FILE: file },
      ready: { url: `http://127.0.0.1:${health}/ready` },
    });
    return { port, running };
  };
}

function resources(balancing: Balancing | null, ports: readonly number[]): Resource[] {
  const backends = [{ endpoints: 'bench/app:80', weight: 1 }];
  const route = { name: 'default', matches: [], backends, timeoutMs: null, retry: null };
  const unchanged = { requestHeaders: null, responseHeaders: null, rewrite: null, redirect: null };
  const any = { protocol: 'auto', mtls: 'PERMISSIVE', decidedBy: 'Mesh default' } as const;
  return [
    {
      type: 'Workload',
      name: 'self',
      trustDomain: 'cluster.local',
      namespace: 'bench',
      serviceAccount: 'caller',
      inbound: { ports: {}, other: any },
      outbound: { policy: 'AllowAny', whenDisconnected: 'pass' },
      accessLog: 'off',
      statisticsIntervalMs: 5000,
      policies: [],
    },
    {
      type: 'Destination',
      name: service,
      kind: 'service',
      host: 'app.bench:80',
      protocol: 'http1',
      routes: [{ ...route, ...unchanged }],
      tcp: backends,
      ...(balancing === null ? {} : { balancing }),
      policies: [],
    },
    {
      type: 'Endpoints',
      name: 'bench/app:80',
      endpoints: ports.map((port, index) => ({
        address: '127.0.0.1',
        port,
        identity: null,
        podName: `app-${index}`,
        zone: '',
      })),
    },
  ];
}

const types = 'type.googleapis.com/envoy.extensions';

export function envoy(program: string, policy: 'LEAST_REQUEST' | 'ROUND_ROBIN'): StartProxy {
  return async (folder, backends) => {
    const [port, admin] = (await freePorts(2)) as [number, number];
    const file = join(folder, `envoy-${port}.json`);
    writeFileSync(file, JSON.stringify(bootstrap(policy, { port, admin }, backends)));
    const flags = ['--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
    const running = await launch({
      program,
      args: ['-c', file, ...flags],
      ready: { url: `http://127.0.0.1:${admin}/ready` },
    });
    return { port, running };
  };
}

function bootstrap(
  policy: string,
  { port, admin }: { port: number; admin: number },
  backends: readonly number[],
): object {
  const at = (one: number) => ({ socket_address: { address: '127.0.0.1', port_value: one } });
  const route = { match: { prefix: '/' }, route: { cluster: 'app', timeout: '0s' } };
  const manager = {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'app',
    route_config: { virtual_hosts: [{ name: 'app', domains: ['*'], routes: [route] }] },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
      },
    ],
  };
  const filter = {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: manager,
  };
  const limits = { max_connections: 30_000, max_pending_requests: 30_000, max_requests: 30_000 };
  const lb_endpoints = backends.map((one) => ({ endpoint: { address: at(one) } }));
  return {
    admin: { address: at(admin) },
    static_resources: {
      listeners: [{ name: 'app', address: at(port), filter_chains: [{ filters: [filter] }] }],
      clusters: [
        {
          name: 'app',
          type: 'STATIC',
          connect_timeout: '5s',
          lb_policy: policy,
          load_assignment: { cluster_name: 'app', endpoints: [{ lb_endpoints }] },
          circuit_breakers: { thresholds: [limits] },
        },
      ],
    },
  };
}
