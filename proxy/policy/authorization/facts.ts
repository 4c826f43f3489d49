// What rules look at, in the form that they look at it. Pure.

import { parseIpAddress, type IpAddress } from '../../api/ip-block.ts';
import type { Fields } from '../../codec/session.ts';
import { hostOf, type Host } from './host.ts';
import type { Caller, HttpRequest, Target } from './types.ts';

/** One request under one reading of its path. Null is unknown, which each action takes in the safe way. */
export interface Facts {
  readonly caller: Caller;
  /** Null: no address that can be read. */
  readonly callerIp: IpAddress | null;
  readonly target: Target;
  readonly targetIp: IpAddress | null;
  /** Null: opaque TCP; nothing of HTTP is known then. */
  readonly method: string | null;
  readonly authority: string;
  readonly host: Host | null;
  /** In normal form; null also for a path with too many readings. */
  path: string | null;
  readonly fields: Fields | null;
}

export function factsOf(caller: Caller, target: Target, request: HttpRequest | null): Facts {
  return {
    caller,
    callerIp: parseIpAddress(caller.address),
    target,
    targetIp: parseIpAddress(target.address),
    method: request === null ? null : request.method,
    authority: request === null ? '' : request.authority,
    host: request === null ? null : hostOf(request.authority),
    path: null,
    fields: request === null ? null : request.fields,
  };
}
