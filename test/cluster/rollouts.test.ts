// Pods that come and go under constant load from callers of every kind: every answer is counted, and none fails.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '../../hack/lib/wait.ts';
import { kubectl, tryKubectl } from '../support/kubectl.ts';
import {
  createNamespace,
  deleteNamespace,
  deployEcho,
  podsOf,
  rolledOut,
  type EchoOptions,
} from '../support/namespaces.ts';
import { program } from '../support/policies.ts';
import { sizeOf } from '../support/samples.ts';
import { underLoad, type LoadKind, type Outcome } from '../support/standing-load.ts';
import { apply } from '../support/kubectl.ts';

const namespace = 't-rollouts';
const client = { namespace, app: 'client' };
const replicas = 3;
/** Of each kind of load, a second. */
const rate = 25;
const minuteMs = 60_000;

/** How an app ends: at once on SIGTERM; the same after a pause of its own; never by itself. */
const endings: EchoOptions[] = [
  { name: 'abrupt' },
  { name: 'pausing', container: { lifecycle: { preStop: { sleep: { seconds: 1 } } } } },
  {
    name: 'staying',
    container: { args: ['echo', '--stay'] },
    pod: { terminationGracePeriodSeconds: 6 },
  },
];
const apps = endings.slice(0, sizeOf('endings'));
const names = apps.map(({ name }) => name);

/** Requests that are answered at once and late, on kept connections and on new ones. */
function kindsFor(app: string): LoadKind[] {
  return [
    { url: `http://${app}/healthz` },
    { url: `http://${app}/delay?ms=400` },
    { url: `http://${app}/healthz`, options: ['--close'] },
    { url: `grpc-kept://${app}:9090` },
    { url: `grpc://${app}:9090` },
  ];
}

async function allUnderLoad(what: (app: string) => Promise<void>): Promise<Outcome[]> {
  const kinds = names.flatMap(kindsFor);
  const act = async (): Promise<void> => void (await Promise.all(names.map(what)));
  return await underLoad(client, kinds, rate, act);
}

function expectNoneLost(outcomes: readonly Outcome[], atLeast: number): void {
  const lost = outcomes.filter(({ result }) => result.failed > 0);
  expect(lost.map(({ url, result }) => [url, result.failed, result.errors])).toEqual([]);
  for (const { result } of outcomes) expect(result.requests).toBeGreaterThan(atLeast);
  const requests = outcomes.reduce((sum, { result }) => sum + result.requests, 0);
  process.stdout.write(`${expect.getState().currentTestName}: ${requests} requests, none lost\n`);
}

async function scaleAll(count: number): Promise<void> {
  await Promise.all(names.map((app) => scaleTo(app, count)));
}

async function scaleTo(app: string, count: number): Promise<void> {
  await kubectl('-n', namespace, 'scale', `deployment/${app}`, `--replicas=${count}`);
  await rolledOut(namespace, app);
  await waitFor(`${count} pods of ${app}`, 3 * minuteMs, async () => {
    const all = await kubectl('-n', namespace, 'get', 'pods', '-l', `app=${app}`, '-o', 'name');
    return all.trim().split('\n').length === count;
  });
}

/** As `kubectl drain` does; false where the budget does not allow it now. */
async function evict(pod: string): Promise<boolean> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`;
  const metadata = { name: pod, namespace };
  const body = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata });
  const { code, stderr } = await tryKubectl(['create', '--raw', path, '-f', '-'], body);
  if (code === 0) return true;
  if (!stderr.includes('disruption budget')) throw new Error(stderr);
  return false;
}

describe('pods that come and go under constant load', () => {
  beforeAll(async () => {
    await createNamespace(namespace, true);
    await program('PeerAuthentication', namespace, 'strict', { mtls: { mode: 'STRICT' } });
    await Promise.all([
      deployEcho(namespace, { name: 'client' }),
      ...apps.map((app) => deployEcho(namespace, { ...app, replicas })),
    ]);
  }, 240_000);
  afterAll(() => deleteNamespace(namespace), 240_000);

  it(
    'lose no request in rolling restarts',
    async () => {
      const outcomes = await allUnderLoad(async (app) => {
        for (let round = 0; round < sizeOf('rollouts'); round += 1) {
          await kubectl('-n', namespace, 'rollout', 'restart', `deployment/${app}`);
          await rolledOut(namespace, app);
        }
      });
      expectNoneLost(outcomes, 100);
      const seen = outcomes.map(({ result }) => Object.keys(result.byPod).length);
      for (const pods of seen) expect(pods).toBeGreaterThan(replicas);
    },
    (1 + sizeOf('rollouts')) * 5 * minuteMs,
  );

  it(
    'lose no request while scaled up and down to one',
    async () => {
      const outcomes = await allUnderLoad(async (app) => {
        await scaleTo(app, 1);
        await scaleTo(app, sizeOf('scaledPods'));
        await scaleTo(app, 1);
      });
      expectNoneLost(outcomes, 100);
    },
    15 * minuteMs,
  );

  it(
    'lose no request when deleted with a grace period of one second',
    async () => {
      await scaleAll(replicas);
      const outcomes = await allUnderLoad(async (app) => {
        const [victim] = await podsOf(namespace, `app=${app}`);
        await kubectl('-n', namespace, 'delete', 'pod', victim!.name, '--grace-period=1');
        await rolledOut(namespace, app);
      });
      expectNoneLost(outcomes, 40);
    },
    3 * minuteMs,
  );

  it(
    'lose no request when evicted under a PodDisruptionBudget',
    async () => {
      const budgets = names.map((name) => ({
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name, namespace },
        spec: { minAvailable: 2, selector: { matchLabels: { app: name } } },
      }));
      await scaleAll(replicas);
      await apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: budgets }));
      const outcomes = await allUnderLoad(async (app) => {
        const victims = await podsOf(namespace, `app=${app}`);
        expect(victims).toHaveLength(replicas);
        for (const { name } of victims) {
          await waitFor(`the eviction of ${name}`, 2 * minuteMs, () => evict(name));
        }
        await rolledOut(namespace, app);
      });
      expectNoneLost(outcomes, 100);
    },
    15 * minuteMs,
  );
});
