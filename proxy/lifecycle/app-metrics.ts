// The app's own metrics, read on behalf of whoever reads the sidecar's: Prometheus has no certificate of the
// mesh, and under STRICT the app's port would refuse it. Only what the pod's author named is asked for.

import { request, type IncomingMessage } from 'node:http';
import { defaultMetricsPath, type AppMetrics } from '../api/bootstrap.ts';
import type { ExpositionFormat } from '../api/exposition.ts';

/** More than any app should say; Prometheus' own default limit of a body is none. */
const maxBytes = 16 << 20;
/** Below Prometheus' own 10 s. */
const timeoutMs = 8_000;

export interface AppText {
  /** Without an end mark; empty: the app did not answer. */
  text: string;
  /** What it is: an app may know only the older one. */
  format: ExpositionFormat;
  up: boolean;
}

/** As the scraper wants it, as far as the app can. Never rejects. */
export type ReadAppMetrics = (wanted: ExpositionFormat) => Promise<AppText>;

/**
 * `host`: where the app listens. Whoever reaches the port can ask, so readers at one time share one answer of
 * the app.
 */
export function createAppMetrics(metrics: AppMetrics, host: string): ReadAppMetrics {
  const underWay = new Map<ExpositionFormat, Promise<AppText>>();
  return (wanted) => {
    const known = underWay.get(wanted);
    if (known !== undefined) return known;
    const started = read(metrics, host, wanted).finally(() => underWay.delete(wanted));
    underWay.set(wanted, started);
    return started;
  };
}

async function read(
  { port, path = defaultMetricsPath }: AppMetrics,
  host: string,
  wanted: ExpositionFormat,
): Promise<AppText> {
  try {
    return { ...(await fetchText({ host, port, path }, wanted)), up: true };
  } catch {
    return { text: '', format: wanted, up: false };
  }
}

const older = 'text/plain;version=0.0.4';
const accepted: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: older,
  openmetrics: `application/openmetrics-text;version=1.0.0,${older};q=0.5`,
};

function fetchText(
  at: { host: string; port: number; path: string },
  wanted: ExpositionFormat,
): Promise<Omit<AppText, 'up'>> {
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = { accept: accepted[wanted] };
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...at, headers, agent: false, signal }, (response) => {
      const type = response.headers['content-type'] ?? '';
      const open = wanted === 'openmetrics' && type.startsWith('application/openmetrics-text');
      const format = open ? 'openmetrics' : 'prometheus';
      readBody(response).then((text) => resolve({ text, format }), reject);
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`status ${response.statusCode}`);
  }
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBytes) throw new Error('too large');
    parts.push(part);
  }
  const text = Buffer.concat(parts)
    .toString()
    .replace(/# EOF\n*$/, '');
  return text.endsWith('\n') || text === '' ? text : `${text}\n`;
}
