// A small sidecar for tests and benchmarks: one stream over real mutual TLS, everything it is told kept,
// acknowledged unless told otherwise.

import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, SecureClientSessionOptions } from 'node:http2';
import type { DownMessage, Push, ResourceError, UpMessage } from '../../proxy/api/discovery.ts';
import { discoveryMethod } from '../../proxy/api/discovery.ts';
import { resourceKey } from '../../proxy/api/resources.ts';
import type { Resource, ResourceKey } from '../../proxy/api/resources.ts';
import type { TlsMaterial } from '../ca/types.ts';
import { FrameDecoder, encodeFrame } from './frames.ts';

export interface SidecarOptions {
  port: number;
  material: Pick<TlsMaterial, 'chainPem' | 'keyPem' | 'rootsPem'>;
  /** Source address of the connection. */
  localAddress?: string;
  path?: string;
  /** False: pushes are kept in `pushes` and answered by the test. */
  acknowledges?: boolean;
  tls?: SecureClientSessionOptions;
}

export class TestSidecar {
  readonly pushes: Push[] = [];
  readonly held = new Map<ResourceKey, { version: string; resource: Resource }>();
  accepted = false;
  reconnectAsked = false;
  /** gRPC status and message, once the stream ended. */
  status: { code: number; message: string } | null = null;
  error: Error | null = null;
  closed = false;
  readonly #options: SidecarOptions;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #decoder = new FrameDecoder(64 << 20);
  readonly #waiting = new Set<() => void>();

  constructor(options: SidecarOptions) {
    this.#options = options;
    const { material, localAddress } = options;
    this.#session = connect(`https://127.0.0.1:${options.port}`, {
      cert: material.chainPem,
      key: material.keyPem,
      ca: material.rootsPem,
      servername: '',
      checkServerIdentity: () => undefined,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...options.tls,
    } as SecureClientSessionOptions);
    this.#session.on('error', (error) => this.#fail(error));
    this.#session.on('close', () => this.#wake(() => (this.closed = true)));
    this.#stream = this.#session.request({
      ':method': 'POST',
      ':path': options.path ?? discoveryMethod,
      'content-type': 'application/grpc+json',
      te: 'trailers',
    });
    this.#stream.on('error', (error) => this.#fail(error));
    this.#stream.on('response', (headers) => {
      if (headers['grpc-status'] !== undefined) return this.#end(headers);
      this.#wake(() => (this.accepted = true));
    });
    this.#stream.on('trailers', (headers) => this.#end(headers));
    this.#stream.on('close', () => this.#wake(() => (this.closed = true)));
    this.#stream.on('data', (bytes: Buffer) => this.#onData(bytes));
  }

  send(message: UpMessage): void {
    this.sendText(JSON.stringify(message));
  }

  sendText(text: string): void {
    this.#stream.write(encodeFrame(text));
  }

  sendBytes(bytes: Buffer): void {
    this.#stream.write(bytes);
  }

  ack(nonce: string, errors: ResourceError[] = []): void {
    this.send({ ack: { nonce, errors } });
  }

  /** Resolves once the condition holds; checked at everything that comes in. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  close(): void {
    this.#session.destroy();
  }

  pause(): void {
    this.#stream.pause();
  }

  #onData(bytes: Buffer): void {
    const decoded = this.#decoder.push(bytes);
    if (!decoded.ok) return this.#fail(new Error(decoded.reason));
    for (const text of decoded.messages) {
      this.#wake(() => this.#take(JSON.parse(text) as DownMessage));
    }
  }

  #take(message: DownMessage): void {
    if (message.reconnect === true) this.reconnectAsked = true;
    const { push } = message;
    if (push === undefined) return;
    this.pushes.push(push);
    for (const key of push.removed) this.held.delete(key);
    for (const { version, resource } of push.resources) {
      this.held.set(resourceKey(resource), { version, resource });
    }
    if (this.#options.acknowledges !== false) this.ack(push.nonce);
  }

  #end(headers: Record<string, unknown>): void {
    const code = Number(headers['grpc-status']);
    const words = headers['grpc-message'];
    const message = typeof words === 'string' ? decodeURIComponent(words) : '';
    this.#wake(() => (this.status = { code, message }));
  }

  #fail(error: Error): void {
    this.#wake(() => (this.error ??= error));
  }

  #wake(change: () => void): void {
    change();
    for (const check of this.#waiting) check();
  }
}
