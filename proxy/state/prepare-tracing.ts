// From what the operator says of tracing to what the tracer reads. A value that is wrong throws a ShapeError with its place.

import type { CollectorSettings, TracingSettings } from '../api/tracing.ts';
import {
  fail,
  object,
  oneOf,
  percent,
  pointer,
  port,
  stringItem,
  text,
  type JsonObject,
} from './reader.ts';

/** Null: nothing is traced. */
export function prepareTracing(value: unknown): TracingSettings | null {
  if (value === undefined || value === null) return null;
  const path = '/tracing';
  const from = object(value, path);
  return {
    collector: prepareCollector(from['collector'], `${path}/collector`),
    sampling: percent(from, 'sampling', path),
    samplingOfPorts: entries(from, 'samplingOfPorts', (ports, key, at) => percent(ports, key, at)),
    resource: entries(from, 'resource', (all, key, at) => stringItem(all[key], pointer(at, key))),
  };

  function entries<T>(
    of: JsonObject,
    key: string,
    read: (inner: JsonObject, key: string, path: string) => T,
  ): Record<string, T> {
    const at = pointer(path, key);
    const inner = object(of[key], at);
    return Object.fromEntries(Object.keys(inner).map((one) => [one, read(inner, one, at)]));
  }
}

function prepareCollector(value: unknown, path: string): CollectorSettings {
  const from = object(value, path);
  const endpoint = text(from, 'endpoint', path);
  const url = URL.parse(endpoint);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    fail(pointer(path, 'endpoint'), 'must be a URL that begins with http:// or https://');
  const collector = { protocol: oneOf(from, 'protocol', path, ['grpc', 'http']), endpoint };
  if (from['destination'] === undefined) return collector;
  const at = pointer(path, 'destination');
  const destination = object(from['destination'], at);
  return {
    ...collector,
    destination: { address: text(destination, 'address', at), port: port(destination, 'port', at) },
  };
}
