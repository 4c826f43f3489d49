// Checks of single fields of a policy, each with the path of the field: ranges and forms that the CRD asks
// for as well, for objects that came past it. Pure.

import { patternFault } from '../../proxy/api/pattern.ts';
import { durationHint, parseDuration } from '../resources/duration.ts';
import { grpcCode } from './grpc-codes.ts';

export interface Fault {
  /** `spec.routes[0].timeout`. */
  path: string;
  message: string;
}

type Range = readonly [least: string, most: string];

/** Undefined is right everywhere: what has to be there is the CRD's to say. */
export function durationFaults(path: string, text: string | undefined, range?: Range): Fault[] {
  if (text === undefined) return [];
  const ms = parseDuration(text);
  if (ms === null) return [{ path, message: durationHint(text) }];
  if (range === undefined) return [];
  const [least, most] = range;
  if (ms >= parseDuration(least)! && ms <= parseDuration(most)!) return [];
  return [{ path, message: `${text} must be a duration from ${least} to ${most}` }];
}

export function integerFaults(
  path: string,
  value: number | undefined,
  [least, most]: readonly [number, number],
): Fault[] {
  if (value === undefined) return [];
  const right = Number.isInteger(value) && value >= least && value <= most;
  return right ? [] : [{ path, message: `must be a whole number from ${least} to ${most}` }];
}

export function percentFaults(path: string, value: number | undefined): Fault[] {
  if (value === undefined || (value >= 0 && value <= 100)) return [];
  return [{ path, message: 'must be a share in percent, from 0 to 100' }];
}

export function grpcCodeFaults(path: string, value: string | number | undefined): Fault[] {
  if (value === undefined || grpcCode(value) !== null) return [];
  const message = `${JSON.stringify(value)} is no gRPC code of an error: write it like UNAVAILABLE or 14`;
  return [{ path, message }];
}

export function regexFaults(path: string, regex: string | undefined): Fault[] {
  if (regex === undefined) return [];
  const message = patternFault(regex);
  return message === null ? [] : [{ path, message }];
}

/** How many of these fields may be given. */
export function choiceFaults(
  path: string,
  given: object,
  fields: readonly string[],
  count: 'one' | 'at most one' | 'at least one',
): Fault[] {
  const found = fields.filter((name) => (given as Record<string, unknown>)[name] !== undefined);
  const right = {
    one: found.length === 1,
    'at most one': found.length <= 1,
    'at least one': found.length >= 1,
  };
  if (right[count]) return [];
  const words = count === 'one' ? 'exactly one' : count;
  return [{ path, message: `must have ${words} of ${fields.join(', ')}` }];
}

/** Values that have to differ, with the path of the later one. */
export function doubleFaults(path: string, names: readonly (string | undefined)[]): Fault[] {
  return names.flatMap((name, i) =>
    name === undefined || names.indexOf(name) === i
      ? []
      : [{ path: `${path}[${i}]`, message: `"${name}" is the name of another one already` }],
  );
}
