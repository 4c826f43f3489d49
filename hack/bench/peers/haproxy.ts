// HAProxy as a pair, configured for the same job: one thread, mTLS 1.3 with both sides verified, pools,
// request ids, no log.
import { writeFileSync } from 'node:fs';
import { configPath, type Peer } from './peer.ts';
import { serverName, type Lane, type LanePorts, type PairPlan, type Side } from './plan.ts';

export function haproxy(program: string): Peer {
  return {
    name: 'haproxy',
    title: 'HAProxy',
    lanes: ['get', 'echo', 'bulk', 'grpc', 'tcp'],
    command: (side, plan) => {
      const file = configPath(plan, side, 'cfg');
      writeFileSync(file, haproxyConfig(side, plan));
      const [, first] = plan.lanes[0]!;
      return {
        program,
        args: ['-f', file, '-db'],
        ready: { port: side === 'client' ? first.entry : first.mesh },
      };
    },
  };
}

const head = `global
  nbthread 1
  maxconn 10500
  no strict-limits
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-server-options ssl-min-ver TLSv1.3
  ssl-default-bind-curves X25519
defaults
  timeout connect 5s
  timeout client 10m
  timeout server 10m
  timeout http-keep-alive 10m
  option dontlognull
  http-reuse always
  unique-id-format %[uuid]
`;

export function haproxyConfig(side: Side, plan: PairPlan): string {
  return head + plan.lanes.map(([lane, ports]) => section(side, lane, ports, plan)).join('');
}

function section(side: Side, lane: Lane, ports: LanePorts, plan: PairPlan): string {
  const own = plan.identities[side];
  const mode = lane === 'tcp' ? 'tcp' : 'http';
  // HTTP/2 for gRPC, in clear and between the two; HTTP/1.1 for all else.
  const clear = lane === 'grpc' ? ' proto h2' : '';
  const secured = lane === 'grpc' ? ' alpn h2' : '';
  const both = `ssl crt ${own.bundle} ca-file ${own.roots} verify required`;
  const bind =
    side === 'client'
      ? `bind 127.0.0.1:${ports.entry}${clear}`
      : `bind 127.0.0.1:${ports.mesh} ${both}${secured}`;
  const name = `sni str(${serverName}) verifyhost ${serverName}`;
  const server =
    side === 'client'
      ? `server peer 127.0.0.1:${ports.mesh} ${both} ${name}${secured}`
      : `server app 127.0.0.1:${ports.app}${clear}`;
  const id =
    '  http-request set-header x-request-id %[unique-id] unless { req.hdr(x-request-id) -m found }\n';
  return `listen ${lane}
  mode ${mode}
  ${bind}
${mode === 'http' ? id : ''}  ${server}
`;
}
