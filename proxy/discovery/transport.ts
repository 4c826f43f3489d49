// One gRPC stream to the operator over mutual TLS and Node's HTTP/2: connects, proves, frames, pings.
// It knows no meaning of a message and never connects again by itself.

import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { systemNamespace } from '../api/constants.ts';
import { discoveryMethod, type UpMessage } from '../api/discovery.ts';
import { formatSpiffeId } from '../api/spiffe.ts';
import { spiffeIdOf } from '../identity/certificate.ts';
import type { Identity } from '../identity/store.ts';
import type { Clock, Timer } from '../net/clock.ts';
import { createFrameDecoder, encodeFrame } from './framing.ts';

export interface StreamHandlers {
  /** The operator accepted the stream. */
  onOpen(): void;
  onMessage(text: string): void;
  /** Once, for whatever reason, after which nothing follows. */
  onEnd(reason: string): void;
}

export interface DiscoveryStream {
  send(message: UpMessage): void;
  /** Written and not yet taken by the socket. */
  queuedBytes(): number;
  /** Ends in order: what was sent still goes out. */
  close(): void;
}

export interface StreamTarget {
  host: string;
  port: number;
  identity: Identity;
}

export type OpenStream = (target: StreamTarget, handlers: StreamHandlers) => DiscoveryStream;

/** TCP, TLS and the answer to the first message together. */
const openTimeoutMs = 5000;
const pingIntervalMs = 10_000;
const pongTimeoutMs = 5000;
/** After our end of the stream: the operator's has this long. */
const closeTimeoutMs = 1000;
/** Receive windows: a large push in few round trips. */
const windowBytes = 1 << 20;
/** An operator that stops reading: the stream is given up rather than memory. */
const maxQueuedBytes = 4 << 20;

/** Who the operator must prove to be. */
export function operatorIdentity(trustDomain: string): string {
  return formatSpiffeId({
    trustDomain,
    namespace: systemNamespace,
    serviceAccount: 'tsmesh-operator',
  });
}

export function createOpenStream(clock: Clock): OpenStream {
  return (target, handlers) => new Http2Stream(clock, target, handlers);
}

class Http2Stream implements DiscoveryStream {
  private readonly clock: Clock;
  private readonly handlers: StreamHandlers;
  private readonly socket: TLSSocket;
  private session: ClientHttp2Session | null = null;
  private stream: ClientHttp2Stream | null = null;
  private readonly waiting: Buffer[] = [];
  private readonly decoder = createFrameDecoder();
  private timer: Timer;
  private ended = false;
  private opened = false;

  constructor(clock: Clock, target: StreamTarget, handlers: StreamHandlers) {
    this.clock = clock;
    this.handlers = handlers;
    this.timer = clock.after(openTimeoutMs, () => this.end('no answer in time'));
    this.socket = connectTls({
      host: target.host,
      port: target.port,
      secureContext: target.identity.secureContext,
      ALPNProtocols: ['h2'],
      checkServerIdentity: (_host, certificate) =>
        checkOperator(certificate, target.identity.trustDomain),
    });
    this.socket.once('error', (error) => this.end(error.message));
    this.socket.once('close', () => this.end('connection closed'));
    this.socket.once('secureConnect', () => {
      this.begin().catch((error: Error) => this.end(error.message));
    });
  }

  send(message: UpMessage): void {
    if (this.ended) return;
    const frame = encodeFrame(JSON.stringify(message));
    if (this.stream === null) {
      this.waiting.push(frame);
      return;
    }
    this.stream.write(frame);
    if (this.stream.writableLength > maxQueuedBytes) this.end('the operator does not read');
  }

  queuedBytes(): number {
    return this.stream?.writableLength ?? 0;
  }

  close(): void {
    if (this.stream === null) return this.end('closed');
    this.stream.end();
    this.timer.cancel();
    this.timer = this.clock.after(closeTimeoutMs, () => this.end('closed'));
  }

  /** HTTP/2 is loaded here, beside the handshake's wait, not at start. */
  private async begin(): Promise<void> {
    if (this.socket.alpnProtocol !== 'h2') return this.end('the operator does not speak HTTP/2');
    const { connect } = await import('node:http2');
    if (this.ended) return;
    const session = connect('https://tsmesh-operator', {
      createConnection: () => this.socket,
      settings: { enablePush: false, initialWindowSize: windowBytes },
    });
    this.session = session;
    session.once('error', (error) => this.end(error.message));
    session.once('close', () => this.end('connection closed'));
    session.once('goaway', () => this.end('the operator is going away'));
    session.once('connect', () => session.setLocalWindowSize(windowBytes));
    this.openStream(session);
  }

  private openStream(session: ClientHttp2Session): void {
    const stream = session.request({
      ':method': 'POST',
      ':path': discoveryMethod,
      'content-type': 'application/grpc+json',
      te: 'trailers',
    });
    this.stream = stream;
    stream.once('response', (headers) => this.onResponse(headers));
    stream.on('data', (bytes: Buffer) => this.onData(bytes));
    stream.once('trailers', (trailers) => this.end(statusOf(trailers)));
    stream.once('error', (error) => this.end(error.message));
    stream.once('close', () => this.end('stream closed'));
    for (const frame of this.waiting) stream.write(frame);
    this.waiting.length = 0;
  }

  private onResponse(headers: IncomingHttpHeaders & { ':status'?: number }): void {
    if (headers['grpc-status'] !== undefined) return this.end(statusOf(headers));
    if (headers[':status'] !== 200) return this.end(`HTTP status ${headers[':status']}`);
    if (this.ended) return;
    this.opened = true;
    this.timer.cancel();
    this.timer = this.clock.after(pingIntervalMs, () => this.ping());
    this.handlers.onOpen();
  }

  private onData(bytes: Buffer): void {
    if (this.ended) return;
    try {
      for (const text of this.decoder.push(bytes)) this.handlers.onMessage(text);
    } catch (error) {
      this.end((error as Error).message);
    }
  }

  private ping(): void {
    if (this.ended || this.session === null) return;
    this.timer = this.clock.after(pongTimeoutMs, () => this.end('no answer to a ping'));
    this.session.ping(() => {
      if (this.ended) return;
      this.timer.cancel();
      this.timer = this.clock.after(pingIntervalMs, () => this.ping());
    });
  }

  private end(reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.timer.cancel();
    this.session?.on('error', ignore);
    this.stream?.on('error', ignore);
    this.session?.destroy();
    this.socket.on('error', ignore);
    this.socket.destroy();
    this.handlers.onEnd(this.opened ? reason : `not connected: ${reason}`);
  }
}

/** Errors after the end have nobody to tell. */
function ignore(): void {}

function checkOperator(certificate: PeerCertificate, trustDomain: string): Error | undefined {
  const expected = operatorIdentity(trustDomain);
  const proved = spiffeIdOf(certificate.subjectaltname);
  if (proved === expected) return undefined;
  return new Error(`the other side proved ${proved ?? 'no identity of the mesh'}, not ${expected}`);
}

function statusOf(headers: IncomingHttpHeaders): string {
  const message = headers['grpc-message'];
  const words = typeof message === 'string' ? `: ${decode(message)}` : '';
  return `the operator ended the stream with gRPC status ${String(headers['grpc-status'])}${words}`;
}

/** Percent-encoding as gRPC uses it; a malformed one is shown as it came. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
