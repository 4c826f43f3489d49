// The operator's Deployment as tests handle it: its pods, how many there are, a restart.
import { waitFor } from '../../hack/lib/wait.ts';
import { getJson, kubectl, tryKubectl } from './kubectl.ts';

export const systemNamespace = 'tsmesh-system';

const deployment = ['deployment/tsmesh-operator', '-n', systemNamespace];

export interface OperatorPod {
  metadata: { name: string; uid: string };
  status: { containerStatuses: { restartCount: number; containerID: string }[] };
}

export async function operatorPods(): Promise<OperatorPod[]> {
  const selector = 'app.kubernetes.io/name=tsmesh-operator';
  const args = ['pods', '-n', systemNamespace, '-l', selector];
  return (await getJson<{ items: OperatorPod[] }>(...args)).items;
}

/** Returns when so many run, and no more. */
export async function operatorReplicas(count: number): Promise<void> {
  await kubectl('scale', ...deployment, `--replicas=${count}`);
  await operatorIsReady();
  await waitFor(`${count} operator pods`, 60_000, async () => {
    return (await operatorPods()).length === count;
  });
}

export async function operatorIsReady(): Promise<void> {
  await kubectl('rollout', 'status', ...deployment, '--timeout=90s');
}

/** Begins a restart; `operatorIsReady` waits for its end. */
export async function restartOperator(): Promise<void> {
  // kubectl refuses a second restart within one second.
  await waitFor('a restart of the operator', 10_000, async () => {
    return (await tryKubectl(['rollout', 'restart', ...deployment])).code === 0;
  });
}

/** Ends these pods as a crash would: without a word to them. */
export async function killOperator(...pods: string[]): Promise<void> {
  const force = ['--grace-period=0', '--force'];
  await kubectl('delete', 'pod', '-n', systemNamespace, ...pods, ...force);
}
