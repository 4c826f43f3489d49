// What is counted of one destination, or of one caller. Recording is a few additions; nothing is allocated, but for what is
// seen for the first time.

import { latencyBoundsMs, noTraffic, type TrafficCounters } from '../api/statistics.ts';
import { errorSpec, type ProxyErrorCode } from '../errors.ts';
import type { EjectionReason } from '../policy/outlier.ts';
import type {
  DecisionKey,
  DecisionKind,
  MirrorResult,
  RequestCell,
  RequestSample,
  Series,
} from './counters.ts';

/** What more may be told apart, of all that share it. */
export interface Room {
  /** Policies and rules. */
  decisions: number;
  /** Kinds of requests. */
  cells: number;
}

/** Kinds of requests that one series tells apart: they are looked for one by one. */
const maxCells = 64;
/** Stands for routes that are not told apart any more, and with them for all else of a request. */
const otherRoutes = '(other)';
/** Names what later policies and rules share. */
export const otherPolicy = '(other)';

/** gRPC codes that are the server's fault, as OpenTelemetry counts them. */
const serverFaults: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

export function isServerFault(grpcStatus: number): boolean {
  return serverFaults.has(grpcStatus);
}

/** Upper bounds of the sizes of bodies in bytes; a last bucket without bound follows. */
export const sizeBounds: readonly number[] = Array.from({ length: 10 }, (_, i) => 256 * 4 ** i);

const denials: ReadonlySet<ProxyErrorCode> = new Set([
  'mtls-required',
  'policy-denied',
  'ambiguous-path',
  'registry-only',
]);

const noSums = {
  requestBytes: 0,
  responseBytes: 0,
  latencySumMs: 0,
  retries: 0,
  spillovers: 0,
  sentBytes: 0,
  receivedBytes: 0,
} as const;

export class Recorder implements Series {
  readonly name: string;
  readonly totals: TrafficCounters = noTraffic();
  cells: RequestCell[] = [];
  readonly requestSizes = zeros(sizeBounds.length + 1);
  readonly responseSizes = zeros(sizeBounds.length + 1);
  readonly mirrors: Record<MirrorResult, number> = { answered: 0, failed: 0, dropped: 0 };
  readonly ejections = new Map<string, number>();
  readonly errors = new Map<string, number>();
  readonly decisions = new Map<DecisionKey, number>();
  /** Minutes since something was added. */
  idle = 0;
  /** False: it was forgotten, and is listed anew with the next that it counts. */
  listed = true;
  private readonly room: Room | null;
  private readonly list: (recorder: Recorder) => void;
  requestBytes = 0;
  responseBytes = 0;
  latencySumMs = 0;
  retries = 0;
  spillovers = 0;
  sentBytes = 0;
  receivedBytes = 0;

  /** `room` null: it tells nothing apart. */
  constructor(
    name: string,
    room: Room | null,
    list: (recorder: Recorder) => void = () => undefined,
  ) {
    this.name = name;
    this.room = room;
    this.list = list;
  }

  request(sample: RequestSample): void {
    const { status, latencyMs, requestBytes, responseBytes } = sample;
    const { totals } = this;
    if (this.idle > 0) this.wake();
    totals.requests += 1;
    if (sample.protocol === 'gRPC') totals.grpcRequests += 1;
    if (sample.mtls) totals.mtlsRequests += 1;
    if (status === 0 || status >= 500 || isServerFault(sample.grpcStatus)) totals.failures += 1;
    totals.latency[bucketOf(latencyMs)]! += 1;
    this.latencySumMs += latencyMs;
    if (this.room === null) return;
    this.requestSizes[sizeBucketOf(requestBytes)]! += 1;
    this.responseSizes[sizeBucketOf(responseBytes)]! += 1;
    this.requestBytes += requestBytes;
    this.responseBytes += responseBytes;
    this.cellOf(sample, this.room).requests += 1;
  }

  connection(mtls: boolean): void {
    if (this.idle > 0) this.wake();
    this.totals.connections += 1;
    if (mtls) this.totals.mtlsConnections += 1;
  }

  error(code: ProxyErrorCode): void {
    if (this.idle > 0) this.wake();
    const { flag } = errorSpec(code);
    this.errors.set(flag, (this.errors.get(flag) ?? 0) + 1);
    if (denials.has(code)) this.totals.denied += 1;
  }

  decision(kind: DecisionKind, policy: string, rule: string, reason: string): void {
    const key = decisionKey(kind, policy, rule, reason);
    const count = this.decisions.get(key);
    if (this.idle > 0) this.wake();
    if (count !== undefined) this.decisions.set(key, count + 1);
    else if (this.room !== null && this.room.decisions > 0) {
      this.room.decisions -= 1;
      this.decisions.set(key, 1);
    } else {
      const shared = decisionKey(kind, otherPolicy, '', '');
      this.decisions.set(shared, (this.decisions.get(shared) ?? 0) + 1);
    }
  }

  retry(): void {
    if (this.idle > 0) this.wake();
    this.retries += 1;
  }

  ejection(reason: EjectionReason): void {
    if (this.idle > 0) this.wake();
    this.ejections.set(reason, (this.ejections.get(reason) ?? 0) + 1);
  }

  spillover(): void {
    if (this.idle > 0) this.wake();
    this.spillovers += 1;
  }

  mirror(result: MirrorResult): void {
    if (this.idle > 0) this.wake();
    this.mirrors[result] += 1;
  }

  bytes(sent: number, received: number): void {
    if (this.idle > 0) this.wake();
    this.sentBytes += sent;
    this.receivedBytes += received;
  }

  /** Begins anew, and gives back what it took of what all share. */
  forget(): void {
    const { room } = this;
    this.listed = false;
    if (room !== null) {
      room.cells += this.cells.length;
      room.decisions += this.decisions.size;
    }
    Object.assign(this, noSums, { cells: [] });
    Object.assign(this.totals, noTraffic());
    Object.assign(this.mirrors, { answered: 0, failed: 0, dropped: 0 });
    for (const counts of [this.requestSizes, this.responseSizes]) counts.fill(0);
    for (const map of [this.ejections, this.errors, this.decisions]) map.clear();
  }

  private wake(): void {
    this.idle = 0;
    if (!this.listed) this.list(this);
  }

  /** What comes often moves to the front, where it is found at once. */
  private cellOf(sample: RequestSample, room: Room): RequestCell {
    const { cells } = this;
    for (let i = 0; i < cells.length; i += 1) {
      const cell = cells[i]!;
      if (!isOf(cell, sample)) continue;
      if (i > 0) {
        cells[i] = cells[i - 1]!;
        cells[i - 1] = cell;
      }
      return cell;
    }
    return this.newCell(sample, room);
  }

  private newCell(sample: RequestSample, room: Room): RequestCell {
    const { cells } = this;
    if (cells.length >= maxCells || room.cells <= 0) return this.sharedCell(room);
    const { route, protocol, peer, workload, flag, status, grpcStatus } = sample;
    const made = { route, protocol, peer, workload, flag, status, grpcStatus, requests: 0 };
    room.cells -= 1;
    cells.push(made);
    return made;
  }

  private sharedCell(room: Room): RequestCell {
    const known = this.cells.find(({ route }) => route === otherRoutes);
    if (known !== undefined) return known;
    const shared = { protocol: '', peer: '', workload: '', flag: '', status: -1, grpcStatus: -1 };
    const made = { route: otherRoutes, ...shared, requests: 0 };
    this.cells.push(made);
    room.cells -= 1;
    return made;
  }
}

function isOf(cell: RequestCell, sample: RequestSample): boolean {
  return (
    cell.status === sample.status &&
    cell.route === sample.route &&
    cell.peer === sample.peer &&
    cell.flag === sample.flag &&
    cell.grpcStatus === sample.grpcStatus &&
    cell.protocol === sample.protocol &&
    cell.workload === sample.workload
  );
}

const separator = '\u0000';

function decisionKey(
  kind: DecisionKind,
  policy: string,
  rule: string,
  reason: string,
): DecisionKey {
  return [kind, policy, rule, reason].join(separator);
}

export function readDecisionKey(key: DecisionKey) {
  const [kind = '', policy = '', rule = '', reason = ''] = key.split(separator);
  return { kind, policy, rule, reason };
}

function zeros(length: number): number[] {
  return Array.from({ length }, () => 0);
}

/** Index of the first bound that is not below the value; bounds are inclusive. */
function bucketOf(latencyMs: number): number {
  let low = 0;
  let high: number = latencyBoundsMs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (latencyBoundsMs[middle]! < latencyMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sizeBucketOf(bytes: number): number {
  let index = 0;
  while (index < sizeBounds.length && bytes > sizeBounds[index]!) index += 1;
  return index;
}
