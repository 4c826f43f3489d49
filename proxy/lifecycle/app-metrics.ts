// The app's own metrics, read on behalf of whoever reads the sidecar's: Prometheus has no certificate of the
// mesh, and under STRICT the app's port would refuse it. Only what the pod's author named is asked for.

import { request, type IncomingMessage } from 'node:http';
import { defaultMetricsPath, type AppMetrics } from '../api/bootstrap.ts';

/** More than any app should say; Prometheus' own default limit of a body is none. */
const maxBytes = 16 << 20;
/** Below Prometheus' own 10 s. */
const timeoutMs = 8_000;

/** Prometheus text of sidecar and app, one behind the other. */
export type ReadAppMetrics = () => Promise<string>;

/**
 * `host`: where the app listens. Whoever reaches the port can ask, so readers at one time share one answer of
 * the app. Never rejects: without the app's answer a gauge says so.
 */
export function createAppMetrics(metrics: AppMetrics, host: string): ReadAppMetrics {
  let underWay: Promise<string> | null = null;
  return () => {
    underWay ??= read(metrics, host).finally(() => (underWay = null));
    return underWay;
  };
}

async function read({ port, path = defaultMetricsPath }: AppMetrics, host: string) {
  try {
    const text = await fetchText({ host, port, path });
    return `${upText(1)}${text}`;
  } catch {
    return upText(0);
  }
}

function upText(value: 0 | 1): string {
  const name = 'tsmesh_app_metrics_up';
  const help = "Whether the app's own metrics follow.";
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;
}

function fetchText(at: { host: string; port: number; path: string }): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  // The one format that can be put behind another text: OpenMetrics ends with an end mark.
  const headers = { accept: 'text/plain;version=0.0.4' };
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...at, headers, agent: false, signal }, (response) => {
      readBody(response).then(resolve, reject);
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
