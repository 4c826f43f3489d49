// tsmesh resources for tests, and waiting for what their status says.
import { apply, getJson, kubectl } from './kubectl.ts';

export function resource(kind: string, namespace: string, name: string, spec: object): string {
  const metadata = namespace === '' ? { name } : { name, namespace };
  return JSON.stringify({ apiVersion: 'tsmesh.dev/v1alpha1', kind, metadata, spec });
}

/** Applies a policy and returns when every affected sidecar has acknowledged it. */
export async function program(
  kind: string,
  namespace: string,
  name: string,
  spec: object,
): Promise<void> {
  await apply(resource(kind, namespace, name, spec));
  await programmed(kind, namespace, name);
}

export async function programmed(kind: string, namespace: string, name: string): Promise<void> {
  const where = namespace === '' ? [] : ['-n', namespace];
  const what = `${kind.toLowerCase()}/${name}`;
  await kubectl('wait', ...where, '--for=condition=Programmed', what, '--timeout=60s');
}

export interface ConditionView {
  type: string;
  status: string;
  reason: string;
  message: string;
  observedGeneration?: number;
}

export async function condition(
  where: { kind: string; namespace: string; name: string },
  type: string,
): Promise<ConditionView | undefined> {
  const { kind, namespace, name } = where;
  const scope = namespace === '' ? [] : ['-n', namespace];
  const object = await getJson<{ status?: { conditions?: ConditionView[] } }>(
    kind.toLowerCase(),
    name,
    ...scope,
  );
  return object.status?.conditions?.find((one) => one.type === type);
}
