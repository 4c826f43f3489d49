// A load generator that sends at fixed times, whatever becomes of the requests before: its latencies count from the time
// that a request was meant to be sent, so that none is left out because the one before it was slow.
import { Agent, request as httpRequest } from 'node:http';

export interface OpenLoadOptions {
  /** Requests a second. */
  rate: number;
  seconds: number;
  /** After so long a request counts as failed, with status 0. */
  timeoutMs: number;
}

/** One entry for each request in all three. */
export interface OpenLoadResult {
  /** Unix time of the first request, in milliseconds; request i is meant to be sent i / rate seconds later. */
  startedMs: number;
  rate: number;
  /** 0: no answer. */
  statuses: number[];
  latenciesMs: number[];
}

const tickMs = 1;

export async function openLoad(
  url: string,
  { rate, seconds, timeoutMs }: OpenLoadOptions,
): Promise<OpenLoadResult> {
  const agent = new Agent({ keepAlive: true });
  const total = Math.round(rate * seconds);
  const startedMs = performance.timeOrigin + performance.now();
  const result: OpenLoadResult = { startedMs, rate, statuses: [], latenciesMs: [] };
  const started = performance.now();
  const pending: Promise<void>[] = [];
  for (let next = 0; next < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - started) * rate) / 1000) + 1);
    for (; next < due; next += 1) pending.push(send(next));
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  await Promise.all(pending);
  agent.destroy();
  return result;

  async function send(index: number): Promise<void> {
    const status = await statusOf(url, agent, timeoutMs);
    result.statuses[index] = status;
    const latencyMs = performance.now() - started - (index * 1000) / rate;
    result.latenciesMs[index] = Math.round(latencyMs * 100) / 100;
  }
}

function statusOf(url: string, agent: Agent, timeoutMs: number): Promise<number> {
  return new Promise((resolve) => {
    const fail = (): void => resolve(0);
    const request = httpRequest(url, { agent, timeout: timeoutMs }, (response) => {
      response.on('error', fail);
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', fail);
    request.end();
  });
}

export interface Share {
  requests: number;
  succeeded: number;
  p50Ms: number;
  p99Ms: number;
}

/** Of the requests that were meant to be sent from one time on and before another. */
export function shareOf(result: OpenLoadResult, fromMs: number, untilMs: number): Share {
  const { startedMs, rate, statuses, latenciesMs } = result;
  const index = (ms: number): number => Math.max(0, Math.ceil(((ms - startedMs) * rate) / 1000));
  const latencies = latenciesMs.slice(index(fromMs), index(untilMs)).sort((a, b) => a - b);
  const codes = statuses.slice(index(fromMs), index(untilMs));
  return {
    requests: codes.length,
    succeeded: codes.filter((status) => status >= 200 && status < 500).length,
    p50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? Number.NaN,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN,
  };
}
