// Spans on their way to the collector: held in a bounded queue, sent in batches, tried again a few times, dropped and counted where
// that does not help. Traffic never waits for it.

import type { Io } from '../net/link.ts';
import { Deadline } from '../net/timer-wheel.ts';
import { encodeTraces } from './otlp.ts';
import { maxBatch, SpanQueue } from './span-queue.ts';
import type { Resource, Span } from './span.ts';

/** What became of one batch. */
export interface ExportResult {
  /** `later`: the collector is busy or away. `never`: it will not take it. */
  outcome: 'sent' | 'later' | 'never';
  /** Spans of a batch that was sent which the collector did not take. */
  refused: number;
  /** It asks not to be called sooner. */
  afterMs: number;
}

/** One batch at a time; `done` is called once, perhaps from within. */
export type SendBatch = (body: Buffer, spans: number, done: (result: ExportResult) => void) => void;

export interface ExporterDeps {
  io: Pick<Io, 'clock' | 'wheel'>;
  resource: () => Resource;
  version: string;
  send: SendBatch;
  /** From 0 up to 1. */
  random: () => number;
  /** Spans began to be lost, or arrive again. */
  onHealth: (lost: boolean) => void;
}

export interface ExporterCounts {
  exported: number;
  /** The queue was full, or the collector took them not even after some time. */
  dropped: number;
  queued: number;
}

/** Sooner than the 5 s of OpenTelemetry's batch span processor, for people who watch. */
const delayMs = 1_000;
const maxAttempts = 5;
const firstPauseMs = 1_000;
const maxPauseMs = 15_000;

export class SpanExporter extends Deadline {
  private readonly deps: ExporterDeps;
  private readonly queue = new SpanQueue();
  /** Under way, or waiting to be sent again. */
  private batch: { body: Buffer; spans: number; attempts: number } | null = null;
  private sending = false;
  /** Nothing is waited for any more. */
  private flushing = false;
  private onEmpty: (() => void) | null = null;
  private losing = false;
  private exported = 0;
  private dropped = 0;

  constructor(deps: ExporterDeps) {
    super();
    this.deps = deps;
  }

  record(span: Span): void {
    if (!this.queue.add(span)) {
      this.dropped += 1;
      return;
    }
    if (this.batch !== null) return;
    if (this.queue.spans >= maxBatch) this.sendNext();
    else if (this.slot < 0) this.wake(delayMs);
  }

  counts(): ExporterCounts {
    const { exported, dropped, queue, batch } = this;
    return { exported, dropped, queued: queue.spans + (batch?.spans ?? 0) };
  }

  onDeadline(): void {
    if (this.sending) return;
    if (this.batch === null) this.sendNext();
    else this.sendBatch();
  }

  /** What is left is sent at once; resolves when it is gone, or the time is over. */
  async drained(withinMs: number): Promise<void> {
    this.flushing = true;
    if (this.batch === null) this.sendNext();
    else if (!this.sending) this.sendBatch();
    if (this.batch === null) return;
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve;
      this.deps.io.clock.after(withinMs, resolve);
    });
  }

  private sendNext(): void {
    const taken = this.queue.take();
    if (taken === null) return;
    const { resource, version } = this.deps;
    const { entries, spans } = taken;
    this.batch = { body: encodeTraces(resource(), version, entries), spans, attempts: 0 };
    this.sendBatch();
  }

  private sendBatch(): void {
    const { batch } = this;
    if (batch === null) return;
    this.deps.io.wheel.cancel(this);
    batch.attempts += 1;
    this.sending = true;
    this.deps.send(batch.body, batch.spans, (result) => this.onResult(result));
  }

  private onResult({ outcome, refused, afterMs }: ExportResult): void {
    const { batch } = this;
    if (batch === null) return;
    this.sending = false;
    if (outcome === 'later' && batch.attempts < maxAttempts && !this.flushing) {
      const most = Math.min(maxPauseMs, firstPauseMs * 2 ** (batch.attempts - 1));
      // Half of it is certain, half is jitter: many sidecars lost the same collector at the same time.
      this.wake(Math.max(afterMs, most / 2 + (this.deps.random() * most) / 2));
      return;
    }
    const dropped = outcome === 'sent' ? Math.min(refused, batch.spans) : batch.spans;
    this.exported += batch.spans - dropped;
    this.dropped += dropped;
    const lost = dropped > 0;
    if (lost !== this.losing) this.deps.onHealth(lost);
    this.losing = lost;
    this.batch = null;
    if (this.queue.spans >= maxBatch || this.flushing) this.sendNext();
    else if (this.queue.spans > 0) this.wake(delayMs);
    if (this.batch === null) this.onEmpty?.();
  }

  private wake(inMs: number): void {
    const { clock, wheel } = this.deps.io;
    wheel.schedule(this, clock.nowMs() + inMs);
  }
}
