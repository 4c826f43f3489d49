// The proxies that the differential test compares: HAProxy, nginx and Envoy as plain reverse proxies in front of one
// recorder each, and our sidecars, one in plaintext and two with mutual TLS between them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from '../../hack/bench/peers/launch.ts';
import { freePort } from '../../hack/lib/free-ports.ts';
import { ensureDebianPrograms, ensureEnvoy } from '../../hack/tools/peers.ts';
import { startPair } from '../support/mesh-pair.ts';
import {
  destination,
  endpoints,
  loopback,
  service,
  startSidecar,
  workload,
} from '../support/sidecar.ts';
import { startLenientNode } from './differential-node.ts';
import { startRecorder, type Answers, type Recorder } from './differential-recorder.ts';

export const others = ['haproxy', 'nginx', 'envoy'] as const;
export const ours = ['one sidecar', 'two sidecars'] as const;
/** Reads for itself and forwards nothing. */
export const lenient = 'lenient node';
export type ProxyName = (typeof others)[number] | (typeof ours)[number] | typeof lenient;

export interface Proxy {
  name: ProxyName;
  /** Where clients connect. */
  port: number;
  recorder: Recorder;
}

export interface Proxies {
  all: Proxy[];
  close(): Promise<void>;
}

type Close = () => void | Promise<void>;

export async function startProxies(answers?: Answers): Promise<Proxies> {
  const closers: Close[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-differential-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const all: Proxy[] = [];
  for (const name of [...others, ...ours]) {
    const recorder = await startRecorder(answers);
    closers.push(() => recorder.close());
    const started = await start(name, recorder.port, folder);
    closers.push(started.close);
    all.push({ name, port: started.port, recorder });
  }
  const node = await startLenientNode();
  closers.push(() => node.close());
  all.push({ name: lenient, port: node.port, recorder: node });
  return {
    all,
    async close() {
      for (const close of closers.toReversed()) await close();
    },
  };
}

interface Started {
  port: number;
  close: Close;
}

function start(
  name: Exclude<ProxyName, typeof lenient>,
  upstream: number,
  folder: string,
): Promise<Started> {
  switch (name) {
    case 'haproxy':
      return startHaproxy(upstream, folder);
    case 'nginx':
      return startNginx(upstream, folder);
    case 'envoy':
      return startEnvoy(upstream, folder);
    case 'one sidecar':
      return startOne(upstream);
    case 'two sidecars':
      return startTwo(upstream);
  }
}

async function startHaproxy(upstream: number, folder: string): Promise<Started> {
  const [program] = await ensureDebianPrograms(['haproxy']);
  const port = await freePort();
  const file = join(folder, 'haproxy.cfg');
  // One connection to the upstream for each of a client's, so that nothing of two cases can meet.
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  http-reuse never
listen differential
  bind ${loopback}:${port}
  server upstream ${loopback}:${upstream}
`,
  );
  const args = ['-f', file, '-db'];
  const running = await launch({ program: program!, args, ready: { port } });
  return { port, close: () => running.close() };
}

async function startNginx(upstream: number, folder: string): Promise<Started> {
  const [, program] = await ensureDebianPrograms(['haproxy', 'nginx']);
  const port = await freePort();
  const own = join(folder, 'nginx');
  mkdirSync(own);
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${own}/${name};\n`)
    .join('');
  const file = join(own, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off;
master_process off;
pid ${own}/nginx.pid;
error_log stderr crit;
events { worker_connections 2000; }
http {
${scratch}  access_log off;
  server {
    listen ${loopback}:${port};
    location / {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_pass http://${loopback}:${upstream};
    }
  }
}
`,
  );
  const running = await launch({
    program: program!,
    args: ['-p', own, '-c', file],
    ready: { port },
  });
  return { port, close: () => running.close() };
}

async function startEnvoy(upstream: number, folder: string): Promise<Started> {
  const program = await ensureEnvoy();
  const port = await freePort();
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(envoyConfig(port, upstream)));
  const flags = ['--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
  const running = await launch({ program, args: ['-c', file, ...flags], ready: { port } });
  return { port, close: () => running.close() };
}

function envoyConfig(port: number, upstream: number): object {
  const address = (number: number): object => ({
    socket_address: { address: loopback, port_value: number },
  });
  const types = 'type.googleapis.com/envoy.extensions';
  const manager = {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'differential',
    codec_type: 'HTTP1',
    http_protocol_options: { accept_http_10: true, enable_trailers: true },
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            { match: { connect_matcher: {} }, route: { cluster: 'upstream' } },
            { match: { prefix: '/' }, route: { cluster: 'upstream', timeout: '20s' } },
          ],
        },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
      },
    ],
  };
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return {
    static_resources: {
      listeners: [
        {
          name: 'differential',
          address: address(port),
          filter_chains: [
            {
              filters: [
                { name: 'envoy.filters.network.http_connection_manager', typed_config: manager },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'upstream',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'upstream',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
          },
          typed_extension_protocol_options: {
            [options]: {
              '@type': `type.googleapis.com/${options}`,
              explicit_http_config: { http_protocol_options: { enable_trailers: true } },
              common_http_protocol_options: { max_requests_per_connection: 1 },
            },
          },
        },
      ],
    },
  };
}

const http1 = { protocol: 'http1' } as const;

async function startOne(upstream: number): Promise<Started> {
  const sidecar = await startSidecar('differential');
  sidecar.target.outbound = service;
  const app = { address: loopback, port: upstream, family: 'IPv4' };
  sidecar.apply(workload(), destination(http1), endpoints(app, null));
  return { port: sidecar.outbound.address.port, close: () => sidecar.close() };
}

async function startTwo(upstream: number): Promise<Started> {
  const app = { address: loopback, port: upstream, family: 'IPv4' };
  const pair = await startPair(app);
  pair.route(http1);
  return { port: pair.caller.outbound.address.port, close: () => pair.close() };
}
