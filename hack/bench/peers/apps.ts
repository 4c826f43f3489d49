// The apps behind the proxies, each the cheapest that does the job, so that the proxies are what costs:
// nginx answers 1 KB, HAProxy echoes 10 KB, an own server moves a GiB, fortio answers gRPC.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, type Running } from './launch.ts';
import { nginxFrame } from './nginx.ts';
import type { ProxyCommand } from './peer.ts';
import type { Lane } from './plan.ts';
import type { Tools } from './tools.ts';

export const answerBytes = 1024;

/** Where an app is started: its port, and a folder for its files. */
interface Place {
  readonly port: number;
  readonly folder: string;
}

const apps: Readonly<Record<Lane, (tools: Tools, place: Place) => ProxyCommand>> = {
  get: (tools, { port, folder }) => {
    const own = join(folder, 'get-app');
    mkdirSync(own, { recursive: true });
    const file = join(own, 'nginx.conf');
    writeFileSync(file, nginxFrame(own, answering(port)));
    return { program: tools.nginx, args: ['-p', own, '-c', file], ready: { port } };
  },
  echo: (tools, { port, folder }) => {
    const file = join(folder, 'echo-app.cfg');
    writeFileSync(file, echoing(port));
    return { program: tools.haproxy, args: ['-f', file, '-db'], ready: { port } };
  },
  bulk: (_, { port }) => bulkApp('http', port),
  tcp: (_, { port }) => bulkApp('tcp', port),
  grpc: (tools, { port }) => {
    const off = ['http', 'redirect', 'tcp', 'udp'].flatMap((name) => [`-${name}-port`, 'disabled']);
    const args = ['server', '-grpc-port', `127.0.0.1:${port}`, ...off, '-config-dir', '', '-quiet'];
    return { program: tools.fortio, args, ready: { port } };
  },
};

export async function startApp(lane: Lane, tools: Tools, place: Place): Promise<Running> {
  return await launch(apps[lane](tools, place));
}

function bulkApp(kind: 'http' | 'tcp', port: number): ProxyCommand {
  const script = fileURLToPath(new URL('bulk-app.ts', import.meta.url));
  return { program: process.execPath, args: [script, kind, String(port)], ready: { port } };
}

function answering(port: number): string {
  const text = 'abcdefghijklmnopqrstuvwxyz012345'.repeat(answerBytes / 32);
  return `http {
  access_log off;
  keepalive_timeout 10m;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${port};
    location / { default_type application/json; return 200 "${text}"; }
  }
}
`;
}

function echoing(port: number): string {
  return `global
  nbthread 1
  maxconn 10500
  no strict-limits
  tune.bufsize 65536
defaults
  mode http
  timeout client 10m
  timeout server 10m
  timeout connect 5s
frontend echo
  bind 127.0.0.1:${port}
  http-request wait-for-body time 10s
  http-request return status 200 content-type text/plain lf-string "%[req.body]"
`;
}
