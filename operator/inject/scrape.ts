// Turns the annotations that tell Prometheus where to scrape towards the sidecar's health port, where STRICT
// mTLS does not apply, and keeps the original for the sidecar to read; and turns them back. Pure.

import { metricsPath, type AppMetrics } from '../../proxy/api/bootstrap.ts';
import { ports } from '../../proxy/api/constants.ts';
import type { Pod } from '../resources/kubernetes.ts';

const keys = {
  scrape: 'prometheus.io/scrape',
  port: 'prometheus.io/port',
  path: 'prometheus.io/path',
  scheme: 'prometheus.io/scheme',
} as const;

/** Changes the pod in place; null: nothing to change. `uncaptured`: ports that Prometheus reaches as they are. */
export function turnScrape(pod: Pod, uncaptured: readonly number[]): AppMetrics | null {
  const given = pod.metadata.annotations ?? {};
  const port = portOf(given[keys.port]);
  if (given[keys.scrape] !== 'true' || port === null) return null;
  if (port === ports.health || uncaptured.includes(port)) return null;
  if ((given[keys.scheme] ?? 'http') !== 'http') return null;
  const path = given[keys.path];
  if (path !== undefined && !path.startsWith('/')) return null;
  pod.metadata.annotations = {
    ...given,
    [keys.port]: String(ports.health),
    [keys.path]: metricsPath,
  };
  return { port, ...(path === undefined ? {} : { path }) };
}

/** What a second injection begins with. */
export function restoreScrape(pod: Pod, former: AppMetrics | null): void {
  const given = pod.metadata.annotations ?? {};
  if (former === null || given[keys.port] !== String(ports.health)) return;
  const { [keys.path]: _, ...rest } = given;
  pod.metadata.annotations = {
    ...rest,
    [keys.port]: String(former.port),
    ...(former.path === undefined ? {} : { [keys.path]: former.path }),
  };
}

function portOf(text: string | undefined): number | null {
  if (text === undefined || !/^[1-9]\d{0,4}$/.test(text)) return null;
  return Number(text) <= 65_535 ? Number(text) : null;
}
