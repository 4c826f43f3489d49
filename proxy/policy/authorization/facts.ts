// What rules look at, in the form that they look at it. Pure.

import { parseIpAddress, type IpAddress } from '../../api/ip-block.ts';
import type { Fields } from '../../codec/session.ts';
import { hostOf, type Host } from './host.ts';
import type { Caller, HttpRequest, Target } from './types.ts';

/** What is worked out of a caller once, and only if a rule asks. */
export class CallerFacts {
  readonly #caller: Caller;
  #ip: IpAddress | null | undefined = undefined;
  #account: string | undefined = undefined;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Null: no address that can be read. */
  get ip(): IpAddress | null {
    if (this.#ip === undefined) this.#ip = parseIpAddress(this.#caller.address);
    return this.#ip;
  }

  /** `namespace/name`; empty without a verified identity. */
  get account(): string {
    if (this.#account === undefined) {
      const { namespace, serviceAccount } = this.#caller;
      this.#account = serviceAccount === '' ? '' : `${namespace}/${serviceAccount}`;
    }
    return this.#account;
  }
}

/** One request under one reading of its path. Null is unknown, which each action takes in the safe way. */
export class Facts {
  readonly caller: Caller;
  readonly known: CallerFacts;
  readonly target: Target;
  /** Null: opaque TCP; nothing of HTTP is known then. */
  readonly request: HttpRequest | null;
  /** In normal form; null without HTTP, and for a path with too many readings. */
  path: string | null = null;
  #host: Host | null | undefined = undefined;

  constructor(caller: Caller, known: CallerFacts, target: Target, request: HttpRequest | null) {
    this.caller = caller;
    this.known = known;
    this.target = target;
    this.request = request;
  }

  get fields(): Fields | null {
    return this.request === null ? null : this.request.fields;
  }

  /** Read at most once, and only if a rule asks. */
  get host(): Host | null {
    if (this.#host === undefined)
      this.#host = this.request === null ? null : hostOf(this.request.authority);
    return this.#host;
  }
}
