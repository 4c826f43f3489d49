// Test support: takes OTLP over HTTP and keeps the spans, read by other code than wrote them. For what a real collector makes
// of them see collector.ts.

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFields } from './protobuf-fields.ts';

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: 'server' | 'client' | 'other';
  /** Unix milliseconds. */
  startMs: number;
  endMs: number;
  attributes: Record<string, string | number | boolean>;
  failed: boolean;
  resource: Record<string, string | number | boolean>;
}

export interface OtlpReceiver {
  endpoint: string;
  spans: ReceivedSpan[];
  /** Heads of the requests that brought them. */
  requests: http.IncomingMessage[];
  /** What is answered next; 200 unless something else is said. */
  status: number;
  close(): void;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const receiver: OtlpReceiver = { endpoint: '', spans: [], requests: [], status: 200, close };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      receiver.requests.push(request);
      if (receiver.status === 200) receiver.spans.push(...spansOf(Buffer.concat(chunks)));
      response.writeHead(receiver.status, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  receiver.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return receiver;

  function close(): void {
    server.close();
    server.closeAllConnections();
  }
}

const inner = (message: Buffer, number: number): Buffer[] =>
  readFields(message)
    .filter((field) => field.number === number)
    .map(({ content }) => content);

function spansOf(message: Buffer): ReceivedSpan[] {
  return inner(message, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(inner(inner(resourceSpans, 1)[0] ?? Buffer.alloc(0), 1));
    return inner(resourceSpans, 2)
      .flatMap((scopeSpans) => inner(scopeSpans, 2))
      .map((span) => spanOf(span, resource));
  });
}

const kinds: Record<number, ReceivedSpan['kind']> = { 2: 'server', 3: 'client' };

function spanOf(message: Buffer, resource: ReceivedSpan['resource']): ReceivedSpan {
  const fields = readFields(message);
  const field = (number: number) => fields.find((one) => one.number === number);
  const hex = (number: number) => field(number)?.content.toString('hex') ?? '';
  const time = (number: number) => Number(field(number)!.bytes.readBigUInt64LE(1)) / 1e6;
  return {
    traceId: hex(1),
    spanId: hex(2),
    traceState: field(3)?.content.toString() ?? '',
    parentSpanId: hex(4),
    name: field(5)?.content.toString() ?? '',
    kind: kinds[field(6)?.value ?? 0] ?? 'other',
    startMs: time(7),
    endMs: time(8),
    attributes: attributesOf(inner(message, 9)),
    failed: field(15) !== undefined,
    resource,
  };
}

function attributesOf(pairs: Buffer[]): ReceivedSpan['attributes'] {
  return Object.fromEntries(
    pairs.map((pair) => [inner(pair, 1)[0]!.toString(), valueOf(inner(pair, 2)[0]!)]),
  );
}

/** common/v1 AnyValue. */
function valueOf(any: Buffer): string | number | boolean {
  const [field] = readFields(any);
  switch (field!.number) {
    case 1:
      return field!.content.toString();
    case 2:
      return field!.value === 1;
    case 3:
      return field!.value;
    default:
      return field!.bytes.readDoubleLE(1);
  }
}
