// The sidecar's own metrics, read from outside the pod as Prometheus would.
import { http, type Caller } from './calls.ts';
import { podsOf } from './namespaces.ts';

/** Prometheus text of the first pod with that label. */
export async function metricsOf(from: Caller, of: Caller): Promise<string> {
  const [pod] = await podsOf(of.namespace, `app=${of.app}`);
  const answer = await http(from, `http://${pod?.ip}:15020/metrics`);
  if (answer.status !== 200) throw new Error(`metrics: ${JSON.stringify(answer)}`);
  return answer.body;
}

/** Sum of all series of that name. */
export function metric(text: string, name: string, ...labels: string[]): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    if (labels.every((label) => line.includes(label))) sum += Number(line.split(' ').at(-1));
  }
  return sum;
}
