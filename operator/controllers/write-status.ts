// Writes the conditions of one resource where they differ from what is there.

import { ApiError, type Kind } from '../resources/api-client.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import type { ConditionsStatus } from '../resources/tsmesh.ts';
import { mergeConditions, type Verdict } from './conditions.ts';
import type { ControllerContext } from './context.ts';

export async function writeConditions(
  context: Pick<ControllerContext, 'api' | 'clock'>,
  kind: Kind,
  object: KubeObject & { status?: ConditionsStatus },
  verdicts: readonly Verdict[],
): Promise<void> {
  const { name, namespace = '', generation = 0 } = object.metadata;
  const nowMs = context.clock.wallTimeMs();
  const conditions = mergeConditions(object.status?.conditions, verdicts, generation, nowMs);
  if (conditions === null) return;
  try {
    const target = { kind, namespace, name, subresource: 'status' as const };
    await context.api.patch(target, { status: { conditions } });
  } catch (error) {
    // Deleted meanwhile: there is nothing left to say.
    if (error instanceof ApiError && error.code === 'NotFound') return;
    throw error;
  }
}
