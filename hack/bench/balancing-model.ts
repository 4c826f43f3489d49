// A model of callers, a balancer each, before a set of backends: arrivals, queues and service times by events, the same
// for the same seed. Pure: it knows no socket and no clock but its own.

export type Random = () => number;

/** Small and even enough for this (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** What one caller's balancer is told, and asked. Backends are numbers. */
export interface Balancer {
  choose(nowMs: number): number;
  /** Of the backend chosen. */
  ended(backend: number, answer: { latencyMs: number; failed: boolean }, nowMs: number): void;
  /** The backend is in the list from now on. */
  added(backend: number): void;
}

export type NewBalancer = (random: Random) => Balancer;

export interface Backend {
  /** Requests it works on at a time; others wait in order. */
  workers: number;
  /** Work of a worker for one request, milliseconds; `served` counts those before it. */
  serviceMs(random: Random, nowMs: number, served: number): number;
  /** On the way, without a worker. */
  delayMs(nowMs: number): number;
  fails(nowMs: number): boolean;
  /** In the list from this time on. */
  fromMs: number;
}

export interface Scenario {
  name: string;
  backends: Backend[];
  callers: number;
  durationMs: number;
  /** Nothing is counted before. */
  countedFromMs: number;
  /** Time to the next arrival, and how many come then. */
  next(random: Random, nowMs: number): { afterMs: number; requests: number };
}

export interface Outcome {
  /** Of all answers, in milliseconds; a failed one is worth `Infinity`. */
  latencies: Float64Array;
  failed: number;
  perBackend: number[];
}

interface Request {
  caller: number;
  backend: number;
  startedMs: number;
  failed: boolean;
}

/** Ordered by time, then by arrival. */
class Agenda {
  private readonly heap: { atMs: number; order: number; run: (nowMs: number) => void }[] = [];
  private order = 0;

  at(atMs: number, run: (nowMs: number) => void): void {
    const entry = { atMs, order: (this.order += 1), run };
    const { heap } = this;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  next(): { atMs: number; run: (nowMs: number) => void } | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

interface Timed {
  atMs: number;
  order: number;
}

function isBefore(a: Timed, b: Timed): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

class Run {
  private readonly scenario: Scenario;
  private readonly random: Random;
  private readonly agenda = new Agenda();
  private readonly balancers: Balancer[];
  private readonly busy: number[];
  private readonly served: number[];
  private readonly waiting: Request[][];
  private readonly latencies: number[] = [];
  private readonly perBackend: number[];
  private failed = 0;

  constructor(scenario: Scenario, newBalancer: NewBalancer, seed: number) {
    this.scenario = scenario;
    // Arrivals and service times do not hang on how often a balancer draws.
    this.random = seeded(seed);
    const own = seeded(seed ^ 0x5bd1e995);
    this.balancers = Array.from({ length: scenario.callers }, () => newBalancer(own));
    this.busy = scenario.backends.map(() => 0);
    this.served = scenario.backends.map(() => 0);
    this.perBackend = scenario.backends.map(() => 0);
    this.waiting = scenario.backends.map(() => []);
  }

  outcome(): Outcome {
    const { agenda, scenario } = this;
    for (const [index, { fromMs }] of scenario.backends.entries())
      agenda.at(fromMs, () => {
        for (const balancer of this.balancers) balancer.added(index);
      });
    agenda.at(0, (nowMs) => this.arrive(nowMs, 0));
    for (let entry = agenda.next(); entry !== undefined; entry = agenda.next())
      entry.run(entry.atMs);
    const latencies = Float64Array.from(this.latencies).sort();
    return { latencies, failed: this.failed, perBackend: this.perBackend };
  }

  private arrive(nowMs: number, requests: number): void {
    for (let i = 0; i < requests; i += 1) this.begin(nowMs);
    const { afterMs, requests: next } = this.scenario.next(this.random, nowMs);
    if (nowMs + afterMs < this.scenario.durationMs)
      this.agenda.at(nowMs + afterMs, (atMs) => this.arrive(atMs, next));
  }

  private begin(nowMs: number): void {
    const { backends } = this.scenario;
    const caller = Math.trunc(this.random() * this.balancers.length);
    const index = this.balancers[caller]!.choose(nowMs);
    const backend = backends[index]!;
    if (nowMs >= this.scenario.countedFromMs) this.perBackend[index]! += 1;
    const request = { caller, backend: index, startedMs: nowMs, failed: backend.fails(nowMs) };
    this.agenda.at(nowMs + backend.delayMs(nowMs), (atMs) => this.reach(request, atMs));
  }

  private reach(request: Request, nowMs: number): void {
    if (request.failed) this.end(request, nowMs);
    else if (this.busy[request.backend]! < this.scenario.backends[request.backend]!.workers)
      this.work(request, nowMs);
    else this.waiting[request.backend]!.push(request);
  }

  private work(request: Request, nowMs: number): void {
    const { backend } = request;
    this.busy[backend]! += 1;
    const served = (this.served[backend]! += 1) - 1;
    const serviceMs = this.scenario.backends[backend]!.serviceMs(this.random, nowMs, served);
    this.agenda.at(nowMs + serviceMs, (atMs) => {
      this.busy[backend]! -= 1;
      this.end(request, atMs);
      const next = this.waiting[backend]!.shift();
      if (next !== undefined) this.work(next, atMs);
    });
  }

  private end(request: Request, nowMs: number): void {
    const { caller, backend, startedMs, failed } = request;
    const latencyMs = nowMs - startedMs;
    this.balancers[caller]!.ended(backend, { latencyMs, failed }, nowMs);
    if (startedMs < this.scenario.countedFromMs) return;
    if (failed) this.failed += 1;
    this.latencies.push(failed ? Infinity : latencyMs);
  }
}

export function simulate(scenario: Scenario, newBalancer: NewBalancer, seed: number): Outcome {
  return new Run(scenario, newBalancer, seed).outcome();
}

/** Of sorted numbers. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
