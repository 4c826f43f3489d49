// HTTP to the API server: address and credentials from client-node's KubeConfig, connections of our own.
//
// Why not the library's generated clients: with every call they make a new undici Agent (a new TLS
// connection that stays behind), and they turn times into Date objects, so that what was read is not
// what is written. Here is no knowledge of kinds, retries or caches.

import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { KubeConfig } from '@kubernetes/client-node';

export interface KubeRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With query. */
  path: string;
  body?: unknown;
  contentType?: string;
}

export interface KubeResponse {
  status: number;
  body: string;
  /** From Retry-After; 0 without. */
  retryAfterMs: number;
  /** The server's clock (Date), Unix milliseconds; NaN where it did not say. */
  dateMs?: number;
}

export interface StreamListener {
  /** The server took the watch (status 200). */
  onOpen?: () => void;
  /** Each line as it comes. */
  onLine: (line: string) => void;
}

export interface KubeTransport {
  /** Rejects when there was no complete answer. */
  send(request: KubeRequest): Promise<KubeResponse>;
  /**
   * A watch. Resolves with the status when the stream ends (its body where it is not 200), rejects when
   * the connection breaks or is silent too long.
   */
  stream(path: string, listener: StreamListener, signal: AbortSignal): Promise<KubeResponse>;
  close(): void;
}

/** No answer at all for so long: the connection is taken for dead. */
const requestTimeoutMs = 10_000;
/** A connection that is not there after so long never comes: the kernel alone would try for two minutes. */
const defaultConnectTimeoutMs = 5_000;
/** A peer that went without a word is noticed: after this time and then ten probes, one a second (libuv). */
const keepAliveIdleMs = 15_000;
/** The API server sends a bookmark about once a minute; twice that and some is silence. */
const streamSilenceMs = 150_000;
/** Credentials are read again this often: service account tokens are replaced on disk. */
const credentialsLifetimeMs = 30_000;
const maxBodyBytes = 64 * 1024 * 1024;

interface Credentials {
  headers: Record<string, string>;
  agent: http.Agent;
  readAtMs: number;
}

export interface TransportOptions {
  /** A file, or undefined for the cluster that this process runs in. */
  kubeconfig: string | undefined;
  nowMs: () => number;
  /** TCP and TLS; default 5 s. */
  connectTimeoutMs?: number;
}

export function createTransport(options: TransportOptions): KubeTransport {
  const config = new KubeConfig();
  if (options.kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(options.kubeconfig);
  return transportFor(config, options);
}

/** With the current context of a configuration that was loaded otherwise. */
export function transportFor(
  config: KubeConfig,
  options: Omit<TransportOptions, 'kubeconfig'>,
): KubeTransport {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig names no current cluster');
  return new HttpTransport(new URL(cluster.server), config, options);
}

class HttpTransport implements KubeTransport {
  readonly #server: URL;
  readonly #config: KubeConfig;
  readonly #nowMs: () => number;
  readonly #connectTimeoutMs: number;
  #credentials: Credentials | null = null;
  #agentKey = '';

  constructor(server: URL, config: KubeConfig, options: Omit<TransportOptions, 'kubeconfig'>) {
    this.#server = server;
    this.#config = config;
    this.#nowMs = options.nowMs;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? defaultConnectTimeoutMs;
  }

  async send(request: KubeRequest): Promise<KubeResponse> {
    const { headers, agent } = await this.#authenticate();
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const sent: Record<string, string> = { ...headers, accept: 'application/json' };
    if (body !== undefined) sent['content-type'] = request.contentType ?? 'application/json';
    return new Promise((resolve, reject) => {
      const outgoing = this.#request(request.path, {
        method: request.method,
        headers: sent,
        agent,
      });
      boundSilence(outgoing, requestTimeoutMs, 'no answer');
      outgoing.on('error', reject);
      outgoing.on('response', (response) => collect(response, resolve, reject));
      outgoing.end(body);
    });
  }

  async stream(path: string, listener: StreamListener, signal: AbortSignal): Promise<KubeResponse> {
    const { headers, agent } = await this.#authenticate();
    return new Promise((resolve, reject) => {
      const outgoing = this.#request(path, { method: 'GET', headers, agent, signal });
      boundSilence(outgoing, streamSilenceMs, 'the watch is silent');
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        if (response.statusCode !== 200) {
          collect(response, resolve, reject);
          return;
        }
        listener.onOpen?.();
        response.on('error', reject);
        response.on('data', lineSplitter(listener.onLine));
        response.on('end', () => resolve({ status: 200, body: '', retryAfterMs: 0 }));
        response.on('close', () => reject(new Error('the watch was cut off')));
      });
      outgoing.end();
    });
  }

  close(): void {
    this.#credentials?.agent.destroy();
  }

  #request(path: string, rest: https.RequestOptions): http.ClientRequest {
    // The option bounds connecting too, TLS included; a request's setTimeout begins only after that.
    const options = { ...rest, timeout: this.#connectTimeoutMs };
    const url = new URL(this.#server.pathname.replace(/\/$/, '') + path, this.#server);
    return this.#server.protocol === 'http:'
      ? http.request(url, options)
      : https.request(url, options);
  }

  async #authenticate(): Promise<Credentials> {
    const nowMs = this.#nowMs();
    const known = this.#credentials;
    if (known !== null && nowMs - known.readAtMs < credentialsLifetimeMs) return known;
    const options: https.RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {}))
      headers[name] = String(value);
    if (typeof options.auth === 'string')
      headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    const agent = this.#agentFor(options, known);
    this.#credentials = { headers, agent, readAtMs: nowMs };
    return this.#credentials;
  }

  /** The same connections as long as the TLS settings are the same. */
  #agentFor(options: https.RequestOptions, known: Credentials | null): http.Agent {
    const { ca, cert, key, rejectUnauthorized, servername } = options;
    const agentKey = JSON.stringify([ca, cert, key, rejectUnauthorized, servername].map(String));
    if (known !== null && agentKey === this.#agentKey) return known.agent;
    this.#agentKey = agentKey;
    // Watches hold a connection each, so the number of sockets is not bounded here.
    const common = { keepAlive: true, maxFreeSockets: 16 };
    if (this.#server.protocol === 'http:') return new http.Agent(common);
    return new https.Agent({
      ...common,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
      ...(servername === undefined ? {} : { servername }),
    });
  }
}

/** Connecting has its own bound (the option `timeout`); from then on silence ends the request after `silenceMs`. */
function boundSilence(outgoing: http.ClientRequest, silenceMs: number, what: string): void {
  let reached = 'no connection in time';
  const onConnected = (socket: Socket): void => {
    reached = `${what} within ${silenceMs} ms`;
    socket.setKeepAlive(true, keepAliveIdleMs);
    socket.setTimeout(silenceMs);
  };
  outgoing.on('socket', (socket: Socket) => {
    if (!socket.connecting && !('secureConnecting' in socket && socket.secureConnecting)) {
      onConnected(socket);
      return;
    }
    const event = 'encrypted' in socket ? 'secureConnect' : 'connect';
    socket.once(event, () => onConnected(socket));
  });
  outgoing.on('timeout', () => outgoing.destroy(new Error(reached)));
}

/** Takes bytes, gives whole lines; what follows the last line feed is kept for later. */
function lineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return (chunk) => {
    const parts = (rest + decoder.write(chunk)).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) onLine(line);
  };
}

function collect(
  response: http.IncomingMessage,
  resolve: (response: KubeResponse) => void,
  reject: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxBodyBytes) response.destroy(new Error(`answer above ${maxBodyBytes} bytes`));
    else chunks.push(chunk);
  });
  response.on('error', reject);
  response.on('end', () => {
    const retryAfterMs = Number(response.headers['retry-after'] ?? 0) * 1000;
    resolve({
      status: response.statusCode ?? 0,
      body: Buffer.concat(chunks).toString('utf8'),
      retryAfterMs: Number.isFinite(retryAfterMs) ? retryAfterMs : 0,
      dateMs: Date.parse(response.headers.date ?? ''),
    });
  });
}
