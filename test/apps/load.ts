// A load generator over keep-alive connections that counts what it saw: the yardstick that the
// mesh's own numbers are compared with.
import { Agent, request as httpRequest } from 'node:http';
import { grpcCall, grpcChannel, tcpCall, type GrpcAnswer, type GrpcChannel } from './client.ts';

const timeoutMs = 20_000;
const keptGrpc = 'grpc-kept://';

export interface LoadOptions {
  /** Ends after this many seconds, or after `requests`, whichever is given (0: not). */
  seconds: number;
  requests: number;
  concurrency: number;
  /** Requests per second over all workers; 0: as fast as answers come. */
  rate: number;
  header: string[];
  /** A connection for each HTTP request. */
  close: boolean;
}

/** What requests go out on. */
interface Connections {
  agent: Agent;
  channel: GrpcChannel | null;
}

export interface LoadResult {
  requests: number;
  /** Status 5xx or 0. */
  failed: number;
  /** By status; 0 stands for no answer. */
  statuses: Record<string, number>;
  byPod: Record<string, number>;
  byVersion: Record<string, number>;
  errors: string[];
  p50Ms: number;
  p99Ms: number;
  seconds: number;
}

interface Answer {
  status: number;
  body: string;
  error?: string;
}

export async function load(url: string, options: LoadOptions): Promise<LoadResult> {
  const connections = connectionsTo(url, options);
  const started = performance.now();
  const latencies: number[] = [];
  const result: LoadResult = {
    requests: 0,
    failed: 0,
    statuses: {},
    byPod: {},
    byVersion: {},
    errors: [],
    p50Ms: 0,
    p99Ms: 0,
    seconds: 0,
  };
  let begun = 0;
  let stop = false;
  process.once('SIGTERM', () => (stop = true));
  process.once('SIGINT', () => (stop = true));
  const more = (): boolean => {
    const over = options.seconds > 0 && performance.now() - started >= options.seconds * 1000;
    return !stop && !over && (options.requests === 0 || begun < options.requests);
  };
  const worker = async (): Promise<void> => {
    while (more()) {
      const turn = begun++;
      if (options.rate > 0) await until(started + (turn * 1000) / options.rate);
      const sent = performance.now();
      const answer = await once(url, connections, options.header);
      latencies.push(performance.now() - sent);
      count(result, answer);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  connections.agent.destroy();
  connections.channel?.close();
  latencies.sort((a, b) => a - b);
  result.p50Ms = latencies[Math.floor(latencies.length * 0.5)] ?? 0;
  result.p99Ms = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  result.seconds = (performance.now() - started) / 1000;
  return result;
}

function count(result: LoadResult, answer: Answer): void {
  result.requests++;
  result.statuses[answer.status] = (result.statuses[answer.status] ?? 0) + 1;
  if (answer.status === 0 || answer.status >= 500) {
    result.failed++;
    if (result.errors.length < 20) {
      const words = answer.error ?? `${answer.status} ${answer.body.slice(0, 200)}`;
      result.errors.push(`${new Date().toISOString()} ${words}`);
    }
    return;
  }
  const who = parse(answer.body);
  result.byPod[who.pod] = (result.byPod[who.pod] ?? 0) + 1;
  result.byVersion[who.version] = (result.byVersion[who.version] ?? 0) + 1;
}

function parse(body: string): { pod: string; version: string } {
  try {
    const { pod, version } = JSON.parse(body) as { pod?: string; version?: string };
    return { pod: pod ?? '', version: version ?? '' };
  } catch {
    return { pod: '', version: '' };
  }
}

function until(instant: number): Promise<void> {
  const wait = instant - performance.now();
  return wait <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, wait));
}

function connectionsTo(url: string, options: LoadOptions): Connections {
  const agent = new Agent({ keepAlive: !options.close, maxSockets: options.concurrency });
  const channel = url.startsWith(keptGrpc) ? grpcChannel(url.slice(keptGrpc.length)) : null;
  return { agent, channel };
}

/**
 * `tcp://host:port` is a line said on a connection of its own, `grpc://host:port` a server stream on one,
 * `grpc-kept://host:port` a unary call on one connection for all.
 */
async function once(
  url: string,
  { agent, channel }: Connections,
  header: string[],
): Promise<Answer> {
  if (url.startsWith('tcp://')) {
    const { received, error } = await tcpCall(url.slice('tcp://'.length), '!load', timeoutMs);
    const good = received.endsWith(' load\r\n');
    return { status: good ? 200 : 0, body: '', error: error ?? `received ${received}` };
  }
  if (channel !== null) {
    return grpcResult(await channel.call({ method: 'Unary', text: 'load', timeoutMs }), 1);
  }
  if (url.startsWith('grpc://')) {
    const call = { method: 'ServerStream', text: 'load', timeoutMs };
    return grpcResult(await grpcCall(url.slice('grpc://'.length), call), 5);
  }
  return await httpOnce(url, agent, header);
}

function grpcResult({ grpcStatus, grpcMessage, messages, error }: GrpcAnswer, of: number): Answer {
  const good = grpcStatus === '0' && messages.length === of;
  const words = `gRPC status ${grpcStatus} ${grpcMessage} after ${messages.length} messages`;
  return { status: good ? 200 : 0, body: messages[0] ?? '', error: error ?? words };
}

function httpOnce(url: string, agent: Agent, header: string[]): Promise<Answer> {
  const headers = Object.fromEntries(
    header.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
  return new Promise((resolve) => {
    const fail = (error: Error): void => resolve({ status: 0, body: '', error: String(error) });
    const request = httpRequest(url, { agent, headers, timeout: timeoutMs }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => (body += text));
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 20 s')));
    request.on('error', fail);
    request.end();
  });
}
