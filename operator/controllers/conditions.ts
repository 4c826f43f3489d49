// Conditions of a resource from what was decided: keeps the time of the last real change, and tells
// whether there is anything to write. Pure.

import type { Condition } from '../resources/kubernetes.ts';

/** A condition before it has a time and a generation. */
export interface Verdict {
  type: string;
  status: Condition['status'];
  reason: string;
  message: string;
}

/** metav1.Condition: longest message. */
const maxMessageLength = 32_768;

/**
 * The conditions to write, or null where `existing` says the same already. Types that are not among the
 * verdicts are dropped: nobody else writes these resources' status.
 */
export function mergeConditions(
  existing: readonly Condition[] | undefined,
  verdicts: readonly Verdict[],
  generation: number,
  nowMs: number,
): Condition[] | null {
  const known = new Map((existing ?? []).map((condition) => [condition.type, condition]));
  const now = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const next = verdicts.map((verdict): Condition => {
    const before = known.get(verdict.type);
    const sameStatus = before?.status === verdict.status;
    return {
      type: verdict.type,
      status: verdict.status,
      reason: verdict.reason,
      message: verdict.message.slice(0, maxMessageLength),
      observedGeneration: generation,
      lastTransitionTime: sameStatus ? before.lastTransitionTime : now,
    };
  });
  const unchanged =
    next.length === (existing ?? []).length &&
    next.every((condition) => equal(condition, known.get(condition.type)));
  return unchanged ? null : next;
}

function equal(a: Condition, b: Condition | undefined): boolean {
  return (
    b !== undefined &&
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration
  );
}
