import { describe, expect, it } from '@jest/globals';
import { readFields } from '../../test/support/protobuf-fields.ts';
import { ProtobufWriter } from '../codec/protobuf.ts';
import { encodeTraces, writeSpan } from './otlp.ts';
import type { Resource, Span } from './span.ts';

function inner(message: Buffer, number: number): Buffer[] {
  return readFields(message)
    .filter((field) => field.number === number)
    .map(({ content }) => content);
}

function only(message: Buffer, number: number): Buffer {
  const [first, ...rest] = inner(message, number);
  expect(rest).toEqual([]);
  return first!;
}

function encoded(resource: Resource, version: string, spans: readonly Span[]): Buffer {
  const writer = new ProtobufWriter();
  for (const one of spans) writeSpan(writer, one);
  return encodeTraces(resource, version, writer.finish());
}

const span: Span = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  parentSpanId: '1112131415161718',
  traceState: 'a=b',
  name: 'GET',
  kind: 'client',
  startMs: 1_700_000_000_000.5,
  endMs: 1_700_000_000_001.25,
  attributes: [
    ['http.response.status_code', 503],
    ['url.path', '/ä'],
    ['tsmesh.mtls', true],
    ['share', 0.5],
  ],
  error: 'no answer',
};

describe('spans in their form on the wire', () => {
  it('stand with their resource and scope', () => {
    const message = encoded([['service.name', 'cart']], '1.2.3', [span, span]);
    const resourceSpans = only(message, 1);
    const pair = only(only(resourceSpans, 1), 1);
    expect(only(pair, 1).toString()).toBe('service.name');
    expect(only(only(pair, 2), 1).toString()).toBe('cart');
    const scopeSpans = only(resourceSpans, 2);
    expect(only(only(scopeSpans, 1), 2).toString()).toBe('1.2.3');
    expect(inner(scopeSpans, 2)).toHaveLength(2);
  });

  it('have every field where the protocol has it', () => {
    const one = inner(only(only(encoded([], '1', [span]), 1), 2), 2)[0]!;
    const fields = readFields(one);
    const field = (number: number) => fields.find((found) => found.number === number)!;
    expect(field(1).content.toString('hex')).toBe(span.traceId);
    expect(field(2).content.toString('hex')).toBe(span.spanId);
    expect(field(3).content.toString()).toBe('a=b');
    expect(field(4).content.toString('hex')).toBe(span.parentSpanId);
    expect(field(5).content.toString()).toBe('GET');
    expect(field(6).value).toBe(3);
    expect(field(7).bytes.readBigUInt64LE(1)).toBe(1_700_000_000_000_500_000n);
    expect(field(8).bytes.readBigUInt64LE(1)).toBe(1_700_000_000_001_250_000n);
    expect(readFields(field(15).content).map(({ number }) => number)).toEqual([2, 3]);
    expect(field(16).bytes.readUInt32LE(2)).toBe(0x301);
    const values = inner(one, 9).map((pair) => readFields(only(pair, 2))[0]!);
    expect(values.map(({ number }) => number)).toEqual([3, 1, 2, 4]);
    expect(values[0]!.value).toBe(503);
    expect(values[1]!.content.toString()).toBe('/ä');
    expect(values[3]!.bytes.readDoubleLE(1)).toBe(0.5);
  });

  it('may be longer than the writer first has room for, but not as long as a client likes', () => {
    const name = 'ä'.repeat(1000);
    const long = { ...span, name, attributes: [['a', 'y'.repeat(70_000)]] as const };
    const all = inner(only(only(encoded([], '1', [long, long, long]), 1), 2), 2);
    for (const one of all) {
      expect(only(one, 5).toString()).toBe(name);
      expect(only(only(only(one, 9), 2), 1).toString()).toBe(`${'y'.repeat(1021)}...`);
    }
    expect(all).toHaveLength(3);
  });
});
