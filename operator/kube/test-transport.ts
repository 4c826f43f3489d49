// For tests only: an API server of one collection, in memory, that can lose watches, forget versions
// and be away.

import type { KubeObject } from '../resources/kubernetes.ts';
import type { KubeRequest, KubeResponse, KubeTransport, StreamListener } from './transport.ts';

interface OpenWatch {
  onLine: (line: string) => void;
  end: (response: KubeResponse) => void;
  cut: (error: Error) => void;
}

export class MemoryTransport implements KubeTransport {
  readonly requests: KubeRequest[] = [];
  readonly objects = new Map<string, KubeObject>();
  /** Answers to come before the real ones: errors are thrown. */
  readonly scripted: (KubeResponse | Error)[] = [];
  readonly watchPaths: string[] = [];
  pageSize = 1_000;
  #version = 10;
  /** Watches from before this version get 410. */
  #forgottenUpTo = 0;
  #watches = new Set<OpenWatch>();

  get openWatches(): number {
    return this.#watches.size;
  }

  put(name: string, more: object = {}, uid = name): void {
    const known = this.objects.get(name);
    const object = this.#stamped(name, uid, more);
    this.objects.set(name, object);
    this.#tell({ type: known === undefined ? 'ADDED' : 'MODIFIED', object });
  }

  remove(name: string): void {
    const known = this.objects.get(name);
    if (known === undefined) throw new Error(`no object ${name}`);
    this.objects.delete(name);
    this.#tell({
      type: 'DELETED',
      object: {
        ...known,
        metadata: { ...known.metadata, resourceVersion: String(++this.#version) },
      },
    });
  }

  bookmark(): void {
    this.#tell({
      type: 'BOOKMARK',
      object: { metadata: { name: '', resourceVersion: String(++this.#version) } },
    });
  }

  /** Raw text on every watch. */
  sendLine(line: string): void {
    for (const watch of this.#watches) watch.onLine(line);
  }

  /** Ends all watches, as a server does that shuts down or a connection that breaks. */
  dropWatches(error?: Error): void {
    const watches = [...this.#watches];
    this.#watches.clear();
    for (const watch of watches) {
      if (error === undefined) watch.end({ status: 200, body: '', retryAfterMs: 0 });
      else watch.cut(error);
    }
  }

  forgetHistory(): void {
    this.#forgottenUpTo = this.#version;
  }

  async send(request: KubeRequest): Promise<KubeResponse> {
    this.requests.push(request);
    const scripted = this.scripted.shift();
    if (scripted instanceof Error) throw scripted;
    return scripted ?? this.#list(request);
  }

  stream(path: string, listener: StreamListener, signal: AbortSignal): Promise<KubeResponse> {
    const { onLine } = listener;
    this.watchPaths.push(path);
    const version = Number(new URLSearchParams(path.split('?')[1]).get('resourceVersion'));
    if (version < this.#forgottenUpTo) {
      const status = { kind: 'Status', code: 410, message: 'too old resource version' };
      onLine(JSON.stringify({ type: 'ERROR', object: status }));
      return Promise.resolve({ status: 200, body: '', retryAfterMs: 0 });
    }
    return new Promise((resolve, reject) => {
      const watch: OpenWatch = { onLine, end: resolve, cut: reject };
      this.#watches.add(watch);
      listener.onOpen?.();
      signal.addEventListener('abort', () => {
        this.#watches.delete(watch);
        reject(new Error('aborted'));
      });
    });
  }

  close(): void {
    this.dropWatches();
  }

  #list(request: KubeRequest): KubeResponse {
    const query = new URLSearchParams(request.path.split('?')[1]);
    const from = Number(query.get('continue') ?? 0);
    const all = [...this.objects.values()];
    const items = all.slice(from, from + this.pageSize);
    const next = from + this.pageSize < all.length ? String(from + this.pageSize) : '';
    const metadata = { resourceVersion: String(this.#version), continue: next };
    return { status: 200, body: JSON.stringify({ metadata, items }), retryAfterMs: 0 };
  }

  #stamped(name: string, uid: string, more: object): KubeObject {
    const resourceVersion = String(++this.#version);
    return { ...more, metadata: { name, uid, resourceVersion } };
  }

  #tell(event: object): void {
    this.sendLine(JSON.stringify(event));
  }
}

export function refusal(status: number, reason: string, retryAfterMs = 0): KubeResponse {
  const body = JSON.stringify({
    kind: 'Status',
    status: 'Failure',
    reason,
    message: `it was ${reason}`,
  });
  return { status, body, retryAfterMs };
}

export function answer(body: object): KubeResponse {
  return { status: 200, body: JSON.stringify(body), retryAfterMs: 0 };
}
