// The endpoint of a collector as the Mesh names it: whether it is one, and which Service it means. Pure.

import { objectKey } from '../model/view.ts';
import type { ObjectKey } from '../model/view.ts';

/** Null: it can be used. */
export function collectorFault(endpoint: string): string | null {
  const url = URL.parse(endpoint);
  if (url !== null && ['http:', 'https:'].includes(url.protocol) && url.username === '')
    return null;
  return 'must be a URL such as http://otel-collector.observability:4317';
}

/** The Service that an endpoint names, whether there is one or not; null: it cannot be one. */
export function collectorService(endpoint: string): ObjectKey | null {
  const host = URL.parse(endpoint)?.hostname ?? '';
  const [, name, namespace] =
    /^([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc(?:\.cluster\.local)?)?\.?$/.exec(host) ?? [];
  return name === undefined || namespace === undefined ? null : objectKey(namespace, name);
}
