// What every policy's conditions have in common: how Accepted shapes Programmed. Pure.

import type { Condition, KubeObject } from '../resources/kubernetes.ts';
import type { ConditionsStatus } from '../resources/tsmesh.ts';
import type { ProgrammedResult } from '../telemetry/types.ts';
import type { Verdict } from './conditions.ts';

export function accepted(message: string): Verdict {
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message };
}

export function refused(reason: 'Invalid' | 'Conflicted', message: string): Verdict {
  return { type: 'Accepted', status: 'False', reason, message };
}

/** A policy that was not accepted is in force nowhere, whatever sidecars acknowledged. */
export function programmedVerdict(
  acceptance: Verdict,
  result: () => Omit<Verdict, 'type'>,
): Verdict {
  if (acceptance.status !== 'True') {
    const message = `not in force: ${acceptance.message}`;
    return { type: 'Programmed', status: 'False', reason: 'NotAccepted', message };
  }
  return { type: 'Programmed', ...result() };
}

/**
 * For the first seconds of a leader, whose sidecars are only just connecting: what the leader before it
 * found of this generation holds until then. Nothing becomes true by this that was not.
 */
export function keepWhileConnecting(
  policy: KubeObject & { status?: ConditionsStatus },
  result: ProgrammedResult,
): Omit<Verdict, 'type'> {
  if (result.status !== 'Unknown') return result;
  const before = policy.status?.conditions?.find(isProgrammed);
  const holds =
    before?.status === 'True' && before.observedGeneration === (policy.metadata.generation ?? 0);
  if (!holds) return result;
  return { status: before.status, reason: before.reason, message: before.message };
}

export function isProgrammed(condition: Condition): boolean {
  return condition.type === 'Programmed';
}
