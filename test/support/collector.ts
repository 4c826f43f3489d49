// Test support: a real OpenTelemetry Collector on loopback, or its configuration for a pod, and the spans that it wrote.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../hack/lib/free-ports.ts';
import { waitFor } from '../../hack/lib/wait.ts';
import { withParent } from '../../hack/bench/peers/launch.ts';
import { ensureOtelCollector } from '../../hack/tools/otel-collector.ts';

type Value = string | number | boolean;

export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: 'server' | 'client' | 'other';
  /** Unix nanoseconds. */
  start: bigint;
  end: bigint;
  attributes: Record<string, Value>;
  failed: boolean;
  message: string;
  resource: Record<string, Value>;
  scope: { name: string; version: string };
}

export interface Collector {
  grpc: string;
  http: string;
  spans(): CollectedSpan[];
  /** Once there are so many. */
  collected(count: number): Promise<CollectedSpan[]>;
  close(): void;
}

/** What a collector is told: OTLP at these places, spans as lines of JSON to `path`. */
export function collectorConfig(grpc: string, http: string, path: string): string {
  return JSON.stringify({
    receivers: { otlp: { protocols: { grpc: { endpoint: grpc }, http: { endpoint: http } } } },
    exporters: { file: { path, flush_interval: '100ms' } },
    service: {
      pipelines: { traces: { receivers: ['otlp'], exporters: ['file'] } },
      telemetry: { metrics: { level: 'none' } },
    },
  });
}

export async function startCollector(): Promise<Collector> {
  const program = await ensureOtelCollector();
  const folder = mkdtempSync(join(tmpdir(), 'tsmesh-collector-'));
  const [grpcPort, httpPort] = await freePorts(2);
  const [grpc, http] = [`127.0.0.1:${grpcPort}`, `127.0.0.1:${httpPort}`];
  const file = join(folder, 'spans.jsonl');
  const config = join(folder, 'config.yaml');
  writeFileSync(config, collectorConfig(grpc, http, file));
  const child = spawn(...withParent(program, ['--config', `file:${config}`]), {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr!.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)));
  await waitFor('the collector', 20_000, async () => {
    if (child.exitCode !== null) throw new Error(`the collector ended: ${words}`);
    return (await accepts(grpcPort!)) && (await accepts(httpPort!));
  });
  const spans = () => spansIn(readFileSync(file, 'utf8'));
  return {
    grpc: `http://${grpc}`,
    http: `http://${http}`,
    spans,
    collected: async (count) =>
      await waitFor(`${count} spans`, 20_000, async () => {
        const all = spans();
        return all.length >= count && all;
      }),
    close: () => end(child, folder),
  };
}

function end(child: ChildProcess, folder: string): void {
  child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

interface Pair {
  key: string;
  value: { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean };
}

interface Line {
  resourceSpans: {
    resource: { attributes?: Pair[] };
    scopeSpans: {
      scope: { name: string; version: string };
      spans: {
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        traceState?: string;
        name: string;
        kind: number;
        startTimeUnixNano: string;
        endTimeUnixNano: string;
        attributes?: Pair[];
        status?: { code?: number; message?: string };
      }[];
    }[];
  }[];
}

/** Lines of the file exporter: OTLP in JSON (opentelemetry-proto, "JSON Protobuf Encoding"). Others are left out. */
export function spansIn(text: string): CollectedSpan[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{"resourceSpans"'));
  // The last one may not be whole yet.
  return lines
    .filter((line) => line.endsWith('}'))
    .flatMap((line) => spansOf(JSON.parse(line) as Line));
}

const kinds: Record<number, CollectedSpan['kind']> = { 2: 'server', 3: 'client' };

function spansOf({ resourceSpans }: Line): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((one) => ({
        traceId: one.traceId,
        spanId: one.spanId,
        parentSpanId: one.parentSpanId ?? '',
        traceState: one.traceState ?? '',
        name: one.name,
        kind: kinds[one.kind] ?? 'other',
        start: BigInt(one.startTimeUnixNano),
        end: BigInt(one.endTimeUnixNano),
        attributes: valuesOf(one.attributes),
        failed: one.status?.code === 2,
        message: one.status?.message ?? '',
        resource: valuesOf(resource.attributes),
        scope,
      })),
    ),
  );
}

function valuesOf(pairs: Pair[] = []): Record<string, Value> {
  return Object.fromEntries(
    pairs.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? doubleValue ?? boolValue ?? Number(intValue),
    ]),
  );
}
