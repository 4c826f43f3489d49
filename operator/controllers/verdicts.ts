// What every policy's conditions have in common: how Accepted shapes Programmed. Pure.

import type { Condition, KubeObject } from '../resources/kubernetes.ts';
import { isDryRun } from '../resources/dry-run.ts';
import type { ConditionsStatus } from '../resources/tsmesh.ts';
import type { ProgrammedResult } from '../telemetry/types.ts';
import type { Verdict } from './conditions.ts';

export function accepted(message: string): Verdict {
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message };
}

export function refused(reason: 'Invalid' | 'Conflicted', message: string): Verdict {
  return { type: 'Accepted', status: 'False', reason, message };
}

/** Names are listed up to here, then counted. */
const listedNames = 3;

/** `a, b, c and 4 more`, sorted. */
export function listNames(names: readonly string[]): string {
  const rest = names.length - listedNames;
  const shown = names.toSorted().slice(0, listedNames).join(', ');
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

/** `1 pod`, `2 pods`. */
export function countOf(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

/** Reason of Programmed where a policy was refused. */
export const notAccepted = 'NotAccepted';

/** A policy that was not accepted is in force nowhere, whatever sidecars acknowledged. */
export function programmedVerdict(
  acceptance: Verdict,
  result: () => Omit<Verdict, 'type'>,
): Verdict {
  if (acceptance.status !== 'True') {
    const message = `not in force: ${acceptance.message}`;
    return { type: 'Programmed', status: 'False', reason: notAccepted, message };
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
    before?.status === 'True' &&
    before.observedGeneration === (policy.metadata.generation ?? 0) &&
    dryRunIsKnown(policy);
  if (!holds) return result;
  return { status: before.status, reason: before.reason, message: before.message };
}

/** What the status says of the dry run is what the annotation says: it moves no generation. */
function dryRunIsKnown(policy: KubeObject & { status?: ConditionsStatus }): boolean {
  const said = policy.status?.conditions?.find(({ type }) => type === 'DryRun');
  return (said?.status === 'True') === isDryRun(policy);
}

export function isProgrammed(condition: Condition): boolean {
  return condition.type === 'Programmed';
}
