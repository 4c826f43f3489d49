// Counts what comes in a second time, by who called, so that the operator can tell who calls whom. A bounded number of
// callers: one that was silent for long makes room for a new one, and where nobody was they share an edge.

import { maxCallers } from '../api/statistics.ts';
import type { EjectionReason } from '../policy/outlier.ts';
import type { ProxyErrorCode } from '../errors.ts';
import type { DecisionKind, MirrorResult, RequestSample, Series } from './counters.ts';
import type { Recorder } from './recorder.ts';

const separator = '\u0000';
/** What callers beyond the bound share: nothing is known of them. */
const shared = separator;
/** Reports without anything new after which a caller makes room: ten minutes at one each three seconds. */
export const silentReports = 200;

export function readCallerName(name: string): { identity: string; address: string } {
  const [identity = '', address = ''] = name.split(separator);
  return { identity, address };
}

interface Caller {
  readonly recorder: Recorder;
  /** What it had counted at the last report, and how many reports ago that changed. */
  counted: number;
  silent: number;
  /** False once another took its place: whoever still holds it asks for it anew. */
  listed: boolean;
}

export class CallerTable {
  readonly #callers = new Map<string, Caller>();
  readonly #make: (name: string) => Recorder;

  constructor(make: (name: string) => Recorder) {
    this.#make = make;
  }

  /** To be kept with the connection. */
  series(base: Series, identity: string, address: string): Series {
    return new CallerSeries(base, this, `${identity}${separator}${address}`);
  }

  /** Of those of whom something was counted. Counts as one more report. */
  snapshot(): Recorder[] {
    const found: Recorder[] = [];
    for (const caller of this.#callers.values()) {
      const { requests, connections, denied } = caller.recorder.totals;
      const counted = requests + connections + denied;
      caller.silent = counted === caller.counted ? caller.silent + 1 : 0;
      caller.counted = counted;
      if (counted > 0) found.push(caller.recorder);
    }
    return found;
  }

  find(name: string): Caller {
    const known = this.#callers.get(name);
    if (known !== undefined) return known;
    const full = this.#callers.size >= maxCallers - 1;
    if (full && name !== shared && !this.#makeRoom()) return this.find(shared);
    const made = { recorder: this.#make(name), counted: 0, silent: 0, listed: true };
    this.#callers.set(name, made);
    return made;
  }

  #makeRoom(): boolean {
    for (const [name, caller] of this.#callers) {
      if (caller.silent < silentReports) continue;
      caller.listed = false;
      return this.#callers.delete(name);
    }
    return false;
  }
}

/** Counts into the series of the port, and into that of the caller; what no edge shows only into the first. */
class CallerSeries implements Series {
  readonly name: string;
  private readonly base: Series;
  private readonly table: CallerTable;
  private readonly key: string;
  private caller: Caller | null = null;

  constructor(base: Series, table: CallerTable, key: string) {
    this.name = base.name;
    this.base = base;
    this.table = table;
    this.key = key;
  }

  request(sample: RequestSample): void {
    this.base.request(sample);
    this.own().request(sample);
  }

  connection(mtls: boolean): void {
    this.base.connection(mtls);
    this.own().connection(mtls);
  }

  error(code: ProxyErrorCode): void {
    this.base.error(code);
    this.own().error(code);
  }

  decision(kind: DecisionKind, policy: string, rule: string, reason: string): void {
    this.base.decision(kind, policy, rule, reason);
  }

  retry(): void {
    this.base.retry();
  }

  ejection(reason: EjectionReason): void {
    this.base.ejection(reason);
  }

  spillover(): void {
    this.base.spillover();
  }

  mirror(result: MirrorResult): void {
    this.base.mirror(result);
  }

  bytes(sent: number, received: number): void {
    this.base.bytes(sent, received);
  }

  private own(): Recorder {
    if (this.caller?.listed !== true) this.caller = this.table.find(this.key);
    return this.caller.recorder;
  }
}
