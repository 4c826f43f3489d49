// Envoy as a pair, configured for the same job: one worker, mTLS 1.3 with both SPIFFE ids checked, pools,
// request ids, default statistics, no access log. HTTP/1.1 or HTTP/2 between the two.
import { writeFileSync } from 'node:fs';
import { configPath, type Peer } from './peer.ts';
import { serverName, type Lane, type LanePorts, type PairPlan, type Side } from './plan.ts';

const types = 'type.googleapis.com/envoy.extensions';
const httpOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export function envoy(program: string, between: 'h1' | 'h2'): Peer {
  return {
    name: `envoy-${between}`,
    title: `Envoy, HTTP/${between === 'h1' ? '1.1' : '2'} between`,
    // Trailers, and with them gRPC, do not fit between two Envoys that speak HTTP/1.1.
    lanes: between === 'h1' ? ['get', 'echo', 'bulk'] : ['get', 'echo', 'bulk', 'grpc', 'tcp'],
    command: (side, plan) => {
      const file = configPath(plan, side, 'json');
      writeFileSync(file, JSON.stringify(bootstrap(side, plan, between)));
      const flags = ['--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
      return {
        program,
        args: ['-c', file, ...flags],
        ready: { url: `http://127.0.0.1:${plan.admin[side]}/ready` },
      };
    },
  };
}

function bootstrap(side: Side, plan: PairPlan, between: 'h1' | 'h2'): object {
  return {
    admin: { address: address(plan.admin[side]) },
    static_resources: {
      listeners: plan.lanes.map(([lane, ports]) => listener(side, lane, ports, plan)),
      clusters: plan.lanes.map(([lane, ports]) => cluster(side, lane, ports, { plan, between })),
    },
  };
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function listener(side: Side, lane: Lane, ports: LanePorts, plan: PairPlan): object {
  const chain = { filters: [lane === 'tcp' ? tcpProxy(lane) : connectionManager(lane)] };
  const secured = { ...chain, transport_socket: downstreamTls(plan) };
  return {
    name: lane,
    address: address(side === 'client' ? ports.entry : ports.mesh),
    filter_chains: [side === 'client' ? chain : secured],
  };
}

function tcpProxy(lane: Lane): object {
  const type = `${types}.filters.network.tcp_proxy.v3.TcpProxy`;
  const typed_config = { '@type': type, stat_prefix: lane, cluster: lane };
  return { name: 'envoy.filters.network.tcp_proxy', typed_config };
}

function connectionManager(lane: Lane): object {
  const network = `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`;
  const router = `${types}.filters.http.router.v3.Router`;
  // A route's default timeout of 15 s is not what a mesh sets.
  const route = { match: { prefix: '/' }, route: { cluster: lane, timeout: '0s' } };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': network,
      stat_prefix: lane,
      codec_type: 'AUTO',
      route_config: { virtual_hosts: [{ name: lane, domains: ['*'], routes: [route] }] },
      http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': router } }],
    },
  };
}

function cluster(
  side: Side,
  lane: Lane,
  ports: LanePorts,
  { plan, between }: { plan: PairPlan; between: 'h1' | 'h2' },
): object {
  const http2 = lane === 'grpc' || (side === 'client' && between === 'h2');
  const port = side === 'client' ? ports.mesh : ports.app;
  const protocol = http2 ? { http2_protocol_options: {} } : { http_protocol_options: {} };
  const options = {
    '@type': `type.googleapis.com/${httpOptions}`,
    explicit_http_config: protocol,
  };
  return {
    name: lane,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: lane,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
    ...(lane === 'tcp' ? {} : { typed_extension_protocol_options: { [httpOptions]: options } }),
    ...(side === 'client' ? { transport_socket: upstreamTls(plan, lane) } : {}),
    circuit_breakers: { thresholds: [limits] },
  };
}

/** Above what the loads need, as meshes set it. */
const limits = { max_connections: 30_000, max_pending_requests: 30_000, max_requests: 30_000 };

function common(side: Side, plan: PairPlan, peerId: string): object {
  const own = plan.identities[side];
  return {
    tls_params: {
      tls_minimum_protocol_version: 'TLSv1_3',
      tls_maximum_protocol_version: 'TLSv1_3',
      ecdh_curves: ['X25519MLKEM768', 'X25519'],
    },
    tls_certificates: [
      { certificate_chain: { filename: own.chain }, private_key: { filename: own.key } },
    ],
    validation_context: {
      trusted_ca: { filename: own.roots },
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peerId } }],
    },
  };
}

function downstreamTls(plan: PairPlan): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
      require_client_certificate: true,
      common_tls_context: {
        ...common('server', plan, plan.identities.client.spiffeId),
        alpn_protocols: ['h2', 'http/1.1'],
      },
    },
  };
}

function upstreamTls(plan: PairPlan, lane: Lane): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: `${lane}.${serverName}`,
      common_tls_context: common('client', plan, plan.identities.server.spiffeId),
    },
  };
}
