// tsmesh as a pair: the shipped bundle with the image's flags, in local file mode.
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type {
  DestinationResource,
  HttpRoute,
  InboundPort,
  Protocol,
  Resource,
  WorkloadResource,
} from '../../../proxy/api/resources.ts';
import { environments, nodeFlags } from '../../images/runtime.ts';
import { configPath, type Peer } from './peer.ts';
import { sidecarNode } from './tools.ts';
import { trustDomain, type Lane, type PairPlan, type Side } from './plan.ts';

/** What a user declares for such a port: nothing for HTTP/1.1, appProtocol for gRPC and raw TCP. */
const protocols: Readonly<Record<Lane, Protocol>> = {
  get: 'auto',
  echo: 'auto',
  bulk: 'auto',
  grpc: 'http2',
  tcp: 'tcp',
};

export interface InForce {
  /** Of the caller's sidecar: nothing, or what a team with a canary has. */
  policy?: 'typical';
  /** Of both sidecars, in place of what is usual. */
  workload?: Partial<WorkloadResource>;
}

/** `label` tells two bundles apart that run side by side; `profiles` is where Node leaves CPU profiles. */
export function tsmesh(
  bundle: string,
  label = 'tsmesh',
  profiles: string | null = null,
  inForce: InForce = {},
): Peer {
  const profilingOf = (side: Side): string[] =>
    profiles === null
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${side}.cpuprofile`];
  return {
    name: label,
    title: label === 'tsmesh' ? 'tsmesh' : `tsmesh (${basename(label)})`,
    lanes: ['get', 'echo', 'bulk', 'grpc', 'tcp'],
    command: (side, plan) => {
      const file = configPath(plan, side, 'json');
      writeFileSync(file, JSON.stringify(localFile(side, plan, inForce)));
      return {
        program: sidecarNode,
        args: [...(nodeFlags.proxy ?? []), ...profilingOf(side), bundle],
        env: { ...environments.proxy, TSMESH_CONFIG_FILE: file },
        ready: { url: `http://127.0.0.1:${plan.admin[side]}/ready` },
      };
    },
  };
}

function localFile(side: Side, plan: PairPlan, inForce: InForce): object {
  const common = {
    health: `127.0.0.1:${plan.admin[side]}`,
    identity: plan.identities[side].folder,
    logLevel: 'error',
  };
  const own = { ...workload(side, plan), ...inForce.workload };
  if (side === 'server') {
    const inbound = plan.lanes.map(([, { mesh, app }]) => {
      return { listen: `127.0.0.1:${mesh}`, destination: `127.0.0.1:${app}` };
    });
    return { ...common, resources: [own] satisfies Resource[], inbound };
  }
  const resources: Resource[] = [own];
  for (const [lane, { mesh, app }] of plan.lanes) {
    const name = `bench/${lane}:80`;
    const identity = plan.identities.server.spiffeId;
    const endpoint = { address: '127.0.0.1', port: mesh, identity, podName: lane, zone: '' };
    resources.push({ type: 'Endpoints', name, endpoints: [endpoint] });
    const made = destination(lane, app, name);
    if (inForce.policy === undefined) {
      resources.push(made);
      continue;
    }
    const canary = `${name}/version=v2`;
    resources.push(withTypicalPolicy(made, [name, canary]));
    resources.push({ type: 'Endpoints', name: canary, endpoints: [endpoint] });
  }
  const outbound = plan.lanes.map(([, { entry, app }]) => {
    return { listen: `127.0.0.1:${entry}`, destination: `${serviceAddress}:${app}` };
  });
  return { ...common, resources, outbound };
}

/** Stands for a ClusterIP. */
const serviceAddress = '10.99.0.1';

function workload(side: Side, plan: PairPlan): WorkloadResource {
  const strict = { mtls: 'STRICT', decidedBy: 'Mesh default' } as const;
  const inbound: Record<string, InboundPort> = {};
  for (const [lane, { app }] of plan.lanes) {
    inbound[String(app)] = { protocol: protocols[lane], ...strict };
  }
  return {
    type: 'Workload',
    name: 'self',
    trustDomain,
    namespace: 'bench',
    serviceAccount: side,
    inbound: { ports: side === 'server' ? inbound : {}, other: { protocol: 'auto', ...strict } },
    outbound: { policy: 'AllowAny', whenDisconnected: 'refuse' },
    accessLog: 'errors',
    statisticsIntervalMs: 5000,
    policies: [],
  };
}

function destination(lane: Lane, port: number, endpoints: string): DestinationResource {
  const backends = [{ endpoints, weight: 1 }];
  const route = {
    name: 'default',
    matches: [],
    backends,
    timeoutMs: null,
    retry: null,
    requestHeaders: null,
    responseHeaders: null,
    rewrite: null,
    redirect: null,
  };
  return {
    type: 'Destination',
    name: `${serviceAddress}:${port}`,
    kind: 'service',
    host: `${lane}.bench:80`,
    protocol: protocols[lane],
    routes: [route],
    tcp: backends,
    policies: [],
  };
}

/** Two routes, a split, retries, a timeout and ejection: what the issue calls a typical policy. */
function withTypicalPolicy(
  made: DestinationResource,
  [stable, canary]: readonly [string, string],
): DestinationResource {
  const [plain] = made.routes as [HttpRoute];
  const common: HttpRoute = {
    ...plain,
    timeoutMs: 10_000,
    retry: {
      attempts: 2,
      on: ['connect-failure', 'refused-stream', 'reset', 'gateway-error'],
      perTryTimeoutMs: 2_000,
      backoffMs: 25,
      maxBackoffMs: 250,
      budgetPercent: 20,
      budgetMinConcurrent: 3,
    },
  };
  const split = [
    { endpoints: stable, weight: 90 },
    { endpoints: canary, weight: 10 },
  ];
  const admin = { name: 'TrafficPolicy bench/app, route 0', matches: [adminMatch] };
  const rest = { name: 'TrafficPolicy bench/app, route 1', backends: split };
  return {
    ...made,
    routes: [
      { ...common, ...admin },
      { ...common, ...rest },
    ],
    outlierDetection: {
      consecutive5xx: 5,
      consecutiveGatewayErrors: 3,
      baseEjectionMs: 10_000,
      maxEjectionMs: 60_000,
      maxEjectionPercent: 50,
    },
  };
}

/** No request of a load is one. */
const adminMatch = {
  path: { prefix: '/admin' },
  headers: [{ name: 'x-role', value: { exact: 'admin' } }],
};
