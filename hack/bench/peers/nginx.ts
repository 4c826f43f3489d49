// nginx as a pair, configured for the same job: one process, mTLS 1.3 with both sides verified, pools,
// request ids, no access log.
import { mkdirSync, writeFileSync } from 'node:fs';
import { configPath, type Peer } from './peer.ts';
import { serverName, type Lane, type LanePorts, type PairPlan, type Side } from './plan.ts';

export function nginx(program: string): Peer {
  return {
    name: 'nginx',
    title: 'nginx',
    lanes: ['get', 'echo', 'bulk', 'grpc', 'tcp'],
    command: (side, plan) => {
      const folder = configPath(plan, `nginx-${side}`, 'd');
      mkdirSync(folder, { recursive: true });
      const file = `${folder}/nginx.conf`;
      writeFileSync(file, nginxConfig(side, plan, folder));
      const [, first] = plan.lanes[0]!;
      return {
        program,
        args: ['-p', folder, '-c', file],
        ready: { port: side === 'client' ? first.entry : first.mesh },
      };
    },
  };
}

/** The frame of any nginx here: one process in the foreground, all its files in one folder. */
export function nginxFrame(folder: string, body: string): string {
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};\n`)
    .join('');
  return `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 15000; }
${body.replace('http {\n', `http {\n${scratch}`)}`;
}

export function nginxConfig(side: Side, plan: PairPlan, folder: string): string {
  const of = (wanted: (lane: Lane) => boolean, write: typeof httpLane): string =>
    plan.lanes
      .filter(([lane]) => wanted(lane))
      .map(([lane, ports]) => write(side, lane, ports, plan))
      .join('');
  const http = of((lane) => lane !== 'tcp', httpLane);
  const stream = of((lane) => lane === 'tcp', tcpLane);
  return nginxFrame(
    folder,
    `http {
  access_log off;
  keepalive_timeout 10m;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  map $http_x_request_id $kept_id { default $http_x_request_id; "" $request_id; }
${http}}
stream {
${stream}}
`,
  );
}

const requireClient = (plan: PairPlan): string => {
  const { chain, key, roots } = plan.identities.server;
  return `ssl_certificate ${chain}; ssl_certificate_key ${key};
    ssl_client_certificate ${roots}; ssl_verify_client on;
    ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;`;
};

const proveClient = (plan: PairPlan, prefix: 'proxy' | 'grpc'): string => {
  const { chain, key, roots } = plan.identities.client;
  return `${prefix}_ssl_certificate ${chain}; ${prefix}_ssl_certificate_key ${key};
    ${prefix}_ssl_trusted_certificate ${roots}; ${prefix}_ssl_verify on; ${prefix}_ssl_protocols TLSv1.3;
    ${prefix}_ssl_name ${serverName}; ${prefix}_ssl_server_name on;`;
};

function httpLane(side: Side, lane: Lane, ports: LanePorts, plan: PairPlan): string {
  const client = side === 'client';
  const http2 = lane === 'grpc' ? ' http2' : '';
  const listen = client
    ? `listen 127.0.0.1:${ports.entry}${http2};`
    : `listen 127.0.0.1:${ports.mesh} ssl${http2}; ${requireClient(plan)}`;
  const prefix = lane === 'grpc' ? 'grpc' : 'proxy';
  const secured = client ? proveClient(plan, prefix) : '';
  const passes =
    lane === 'grpc'
      ? `grpc_set_header x-request-id $kept_id; grpc_pass grpc${client ? 's' : ''}://${lane};`
      : `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header x-request-id $kept_id; proxy_request_buffering off;
      proxy_max_temp_file_size 0; proxy_pass http${client ? 's' : ''}://${lane};`;
  return `  upstream ${lane} {
    server 127.0.0.1:${client ? ports.mesh : ports.app};
    keepalive 512; keepalive_requests 1000000000; keepalive_timeout 10m;
  }
  server {
    ${listen}
    ${secured}
    location / {
      ${passes}
    }
  }
`;
}

function tcpLane(side: Side, lane: Lane, ports: LanePorts, plan: PairPlan): string {
  const body =
    side === 'client'
      ? `listen 127.0.0.1:${ports.entry};
    proxy_ssl on; ${proveClient(plan, 'proxy')}
    proxy_pass 127.0.0.1:${ports.mesh};`
      : `listen 127.0.0.1:${ports.mesh} ssl; ${requireClient(plan)}
    proxy_pass 127.0.0.1:${ports.app};`;
  return `  server { # ${lane}
    ${body}
  }
`;
}
