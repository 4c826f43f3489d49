// npm run bench: the figures of docs/performance.md, measured now on this machine.
import { parseArgs } from 'node:util';
import { benchApply } from './bench/apply.ts';
import { benchAuthorization } from './bench/authorization.ts';
import { benchBalancing } from './bench/balancing.ts';
import { benchBalancingLive } from './bench/balancing-live.ts';
import { benchChurn } from './bench/churn.ts';
import { benchFaults } from './bench/faults.ts';
import { benchIdle } from './bench/idle.ts';
import { benchIssuance } from './bench/issuance.ts';
import { benchLoad } from './bench/load.ts';
import { benchObservability } from './bench/observability.ts';
import { benchOperator } from './bench/operator.ts';
import { benchPeers } from './bench/peers/bench.ts';
import { peersUsage, UsageError } from './bench/peers/options.ts';
import { benchPolicy } from './bench/policy.ts';
import { benchPushes } from './bench/pushes.ts';
import { benchRoutes } from './bench/routes.ts';
import { benchServices } from './bench/services.ts';
import { benchStatuses } from './bench/statuses.ts';
import { benchTypicalPolicy } from './bench/typical-policy.ts';
import { row } from './bench/process-figures.ts';

const benches: Readonly<Record<string, () => Promise<string[]>>> = {
  apply: benchApply,
  authorization: benchAuthorization,
  routes: benchRoutes,
  pushes: benchPushes,
  'typical-policy': benchTypicalPolicy,
  observability: benchObservability,
  balancing: benchBalancing,
  'balancing-live': benchBalancingLive,
  churn: benchChurn,
  policy: benchPolicy,
  load: benchLoad,
  operator: benchOperator,
  issuance: benchIssuance,
  idle: benchIdle,
  faults: benchFaults,
  services: benchServices,
  statuses: benchStatuses,
};

const usage = `npm run bench -- [${Object.keys(benches).join(' | ')}] …
  apply    from a change of any kind to its first obeyed request, and to its status
  authorization
           what a decision by policies costs, by index and by asking each rule, in this process
  routes   what finding the route of a request costs, by table and by asking each, in this process
  pushes   what a push of one endpoint costs a sidecar that knows 1,000 Services, in this process
  typical-policy
           two sidecars with a typical TrafficPolicy in force beside two with none, same loads
  observability
           what counting a request costs; and two sidecars that log and trace everything beside two that
           do neither, same loads
  balancing
           the balancers in a model, and what a choice costs; writes docs/load-balancing.md
  balancing-live
           the default balancer beside a real Envoy's; writes docs/load-balancing.md
  churn    what 1,000 Services cost while 50 endpoints a second change
  policy   from kubectl apply to effect, and the operator's cost, on the running cluster
  load     latency, throughput, CPU per request and memory of two sidecars between pods
  operator the operator's cost idle and with 100 sidecars, and their start to connected
  issuance certificates per second, in this process
  idle     memory of connections that say nothing, 1,000 and 10,000 of each kind
  faults   one bad endpoint of five, and outages of all, with the sample policy and without
  services CPU and memory of a sidecar that knows 10 services, and 5,000
  statuses what MeshStatus costs with 200 namespaces and 1,000 simulated sidecars; ends an installed mesh
${peersUsage}
  tsmesh beside Envoy, HAProxy and nginx, two of each with mTLS between them, on loopback
  Nothing else should run meanwhile.`;

async function runBenches(): Promise<void> {
  const { positionals } = parseArgs({ allowPositionals: true });
  const unknown = positionals.filter((name) => benches[name] === undefined);
  if (unknown.length > 0) {
    console.error(`no such bench: ${unknown.join(', ')}\n${usage}`);
    process.exitCode = 2;
    return;
  }
  const selected = positionals.length > 0 ? positionals : Object.keys(benches);
  for (const name of selected) {
    const rows = await benches[name]!();
    const headed = rows.some((line) => line.startsWith('| ---'));
    const head = headed ? [] : [row(name, ''), row('---', '---')];
    console.log([...head, ...rows, ''].join('\n'));
  }
}

const [first, ...rest] = process.argv.slice(2);
try {
  if (first === 'peers') await benchPeers(rest);
  else await runBenches();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
