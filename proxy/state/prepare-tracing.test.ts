import { describe, expect, it } from '@jest/globals';
import type { TracingSettings } from '../api/tracing.ts';
import { prepareTracing } from './prepare-tracing.ts';
import { ShapeError } from './reader.ts';

const settings: TracingSettings = {
  collector: {
    protocol: 'grpc',
    endpoint: 'http://otel.observability:4317',
    destination: { address: '10.1.0.9', port: 4317 },
  },
  sampling: 0.5,
  samplingOfPorts: { 8080: 100 },
  resource: { 'service.name': 'cart' },
};

describe('what the operator says of tracing', () => {
  it('is taken as it is, and absent is off', () => {
    expect(prepareTracing(settings)).toEqual(settings);
    expect(prepareTracing(undefined)).toBeNull();
  });

  it.each<[path: string, change: object]>([
    ['/tracing/collector', { collector: undefined }],
    ['/tracing/collector/endpoint', { collector: { protocol: 'grpc', endpoint: 'otel:4317' } }],
    ['/tracing/collector/endpoint', { collector: { protocol: 'grpc', endpoint: 5 } }],
    ['/tracing/collector/protocol', { collector: { protocol: 'zipkin', endpoint: 'http://x' } }],
    [
      '/tracing/collector/destination/port',
      { collector: { ...settings.collector, destination: { address: '10.1.0.9', port: 0 } } },
    ],
    ['/tracing/sampling', { sampling: 101 }],
    ['/tracing/sampling', { sampling: NaN }],
    ['/tracing/sampling', { sampling: '1' }],
    ['/tracing/samplingOfPorts', { samplingOfPorts: undefined }],
    ['/tracing/samplingOfPorts/8080', { samplingOfPorts: { 8080: -1 } }],
    ['/tracing/resource/service.name', { resource: { 'service.name': 7 } }],
  ])('is refused with the place of what is wrong: %s', (path, change) => {
    const prepare = () => prepareTracing({ ...settings, ...change });
    expect(prepare).toThrow(ShapeError);
    expect(prepare).toThrow(expect.objectContaining({ path }));
  });
});
