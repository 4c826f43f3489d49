// Batches of spans to a collector outside of the cluster, over TLS that is checked against the public authorities: by Node's own
// clients, for it is no traffic of the mesh.

import http2 from 'node:http2';
import https from 'node:https';
import type { CollectorSettings } from '../api/tracing.ts';
import type { Io } from '../net/link.ts';
import { CollectorAnswer, later } from './answer.ts';
import type { ExportResult } from './exporter.ts';
import { exportTimeoutMs, framed, grpcPath, httpPath } from './send.ts';

export interface TlsSender {
  send(body: Buffer, done: (result: ExportResult) => void): void;
  close(): void;
}

export function createTlsSender(
  protocol: CollectorSettings['protocol'],
  url: URL,
  clock: Io['clock'],
): TlsSender {
  return protocol === 'grpc' ? new GrpcSender(url, clock) : new HttpSender(url, clock);
}

class HttpSender implements TlsSender {
  private readonly url: URL;
  private readonly clock: Io['clock'];
  private readonly agent = new https.Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: URL, clock: Io['clock']) {
    this.url = url;
    this.clock = clock;
  }

  send(body: Buffer, done: (result: ExportResult) => void): void {
    const end = once(done);
    const request = https.request(this.url, {
      agent: this.agent,
      method: 'POST',
      path: httpPath(this.url),
      timeout: exportTimeoutMs,
      headers: {
        'content-type': 'application/x-protobuf',
        'content-length': body.length,
        'user-agent': 'tsmesh-proxy',
      },
    });
    const answer = new CollectorAnswer('http');
    request.on('response', (response) => {
      answer.status = response.statusCode ?? 0;
      answer.retryAfter = response.headers['retry-after'] ?? '';
      response.on('data', (chunk: Buffer) => answer.add(chunk));
      response.on('end', () => end(answer.result(this.clock.wallTimeMs())));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => end(later));
    request.on('close', () => end(later));
    request.end(body);
  }

  close(): void {
    this.agent.destroy();
  }
}

class GrpcSender implements TlsSender {
  private readonly url: URL;
  private readonly clock: Io['clock'];
  private session: http2.ClientHttp2Session | null = null;

  constructor(url: URL, clock: Io['clock']) {
    this.url = url;
    this.clock = clock;
  }

  send(body: Buffer, done: (result: ExportResult) => void): void {
    const end = once(done);
    const stream = this.connected().request({
      ':method': 'POST',
      ':path': grpcPath,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'tsmesh-proxy',
    });
    const answer = new CollectorAnswer('grpc');
    const read = (headers: http2.IncomingHttpHeaders): void => {
      const said = headers['grpc-status'];
      if (said !== undefined) answer.grpcStatus = Number(said);
    };
    stream.on('response', (headers) => {
      answer.status = headers[':status'] ?? 0;
      answer.retryAfter = headers['retry-after'] ?? '';
      read(headers);
    });
    stream.on('data', (chunk: Buffer) => answer.add(chunk));
    stream.on('trailers', read);
    stream.on('error', () => end(later));
    // Nothing came for so long: the next batch gets a connection of its own.
    stream.setTimeout(exportTimeoutMs, () => this.close());
    stream.on('close', () => end(answer.result(this.clock.wallTimeMs())));
    stream.end(framed(body));
  }

  close(): void {
    this.session?.destroy();
    this.session = null;
  }

  private connected(): http2.ClientHttp2Session {
    if (this.session !== null && !this.session.closed && !this.session.destroyed)
      return this.session;
    const session = http2.connect(this.url);
    // Its streams say so themselves.
    session.on('error', () => undefined);
    session.unref();
    this.session = session;
    return session;
  }
}

function once(done: (result: ExportResult) => void): (result: ExportResult) => void {
  let over = false;
  return (result) => {
    if (over) return;
    over = true;
    done(result);
  };
}
