// What every policy's conditions have in common: how Accepted shapes Programmed. Pure.

import type { ProgrammedResult } from '../telemetry/types.ts';
import type { Verdict } from './conditions.ts';

export function accepted(message: string): Verdict {
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message };
}

export function refused(reason: 'Invalid' | 'Conflicted', message: string): Verdict {
  return { type: 'Accepted', status: 'False', reason, message };
}

/** A policy that was not accepted is in force nowhere, whatever sidecars acknowledged. */
export function programmedVerdict(acceptance: Verdict, result: () => ProgrammedResult): Verdict {
  if (acceptance.status !== 'True') {
    const message = `not in force: ${acceptance.message}`;
    return { type: 'Programmed', status: 'False', reason: 'NotAccepted', message };
  }
  return { type: 'Programmed', ...result() };
}
