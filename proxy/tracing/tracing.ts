// Tracing of one thread, put together: who decides, who keeps, who sends. Off until the operator says otherwise.

import type { TracingSettings } from '../api/tracing.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createTraceIds, type RandomBytes } from './ids.ts';
import { Collector, type CollectorDeps } from './collector.ts';
import { SpanExporter, type ExporterCounts } from './exporter.ts';
import type { Resource } from './span.ts';
import { Tracer } from './tracer.ts';

export interface Tracing {
  tracer: Tracer;
  /** Null: off. */
  set(settings: TracingSettings | null): void;
  counts(): ExporterCounts;
  /** What is left is sent; resolves when it was, or after the grace. */
  end(graceMs: number): Promise<void>;
}

export type TracingDeps = Omit<CollectorDeps, 'ids'> & {
  randomBytes: RandomBytes;
  version: string;
  logger: Pick<Logger, 'info' | 'warn'>;
};

export function createTracing(deps: TracingDeps): Tracing {
  const { io, randomBytes, version, random, logger } = deps;
  let endpoint = '';
  let resource: Resource = [];
  const collector = new Collector({ ...deps, ids: createTraceIds(randomBytes) });
  const exporter = new SpanExporter({
    io,
    resource: () => resource,
    version,
    send: collector.send,
    random,
    onHealth(lost) {
      if (lost) logger.warn('spans are lost: the collector does not take them', { endpoint });
      else logger.info('the collector takes spans again', { endpoint });
    },
  });
  const tracer = new Tracer({
    clock: io.clock,
    randomBytes,
    record: (span) => exporter.record(span),
  });
  return {
    tracer,
    set(settings) {
      tracer.set(settings);
      collector.set(settings?.collector ?? null);
      endpoint = settings?.collector.endpoint ?? '';
      resource = Object.entries(settings?.resource ?? {});
    },
    counts: () => exporter.counts(),
    async end(graceMs) {
      await exporter.drained(graceMs);
      collector.close();
    },
  };
}
