// For tests only: an API server on loopback with objects in memory: lists, watches with history, merge
// patches, version conflicts, status subresources, and the power to go away and forget. It validates
// nothing and knows no kinds but by their paths.

import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Stored {
  metadata: { name: string; namespace?: string; resourceVersion?: string; uid?: string } & Record<
    string,
    unknown
  >;
  [field: string]: unknown;
}

interface Logged {
  version: number;
  collection: string;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: Stored;
}

interface OpenWatch {
  collection: string;
  selector: string;
  response: ServerResponse;
}

export class TestApiServer {
  /** By path of the object, namespace included. */
  readonly objects = new Map<string, Stored>();
  /** Paths that begin with one of these do not exist (yet). */
  missing: string[] = [];
  #log: Logged[] = [];
  #version = 100;
  #watches = new Set<OpenWatch>();
  #server: http.Server | null = null;
  port = 0;

  get openWatches(): number {
    return this.#watches.size;
  }

  async listen(): Promise<void> {
    const server = http.createServer((request, response) => void this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
  }

  /** All connections break, and new ones are refused, until `listen`. */
  async goAway(): Promise<void> {
    const server = this.#server!;
    this.#watches.clear();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Watches from before now are answered 410 Gone. */
  forgetHistory(): void {
    this.#log = [];
  }

  kubeconfig(): string {
    const cluster = { server: `http://127.0.0.1:${this.port}`, 'insecure-skip-tls-verify': true };
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: {} }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    });
  }

  find(path: string): Stored | undefined {
    return this.objects.get(path);
  }

  put(collection: string, object: Stored): Stored {
    const { namespace, name } = object.metadata;
    const path = `${placeOf(collection, namespace)}/${name}`;
    const known = this.objects.get(path);
    const metadata = {
      uid: `${collection}-${name}-${this.#version}`,
      generation: 1,
      creationTimestamp: '2026-06-01T12:00:00Z',
      ...known?.metadata,
      ...object.metadata,
      resourceVersion: String((this.#version += 1)),
    };
    const stored = { ...object, metadata };
    this.objects.set(path, stored);
    this.#tell(known === undefined ? 'ADDED' : 'MODIFIED', collection, stored);
    return stored;
  }

  remove(path: string): boolean {
    const known = this.objects.get(path);
    if (known === undefined) return false;
    this.objects.delete(path);
    this.#version += 1;
    const metadata = { ...known.metadata, resourceVersion: String(this.#version) };
    this.#tell('DELETED', collectionOf(path), { ...known, metadata });
    return true;
  }

  #tell(type: Logged['type'], collection: string, object: Stored): void {
    const entry: Logged = { version: this.#version, collection, type, object };
    this.#log.push(entry);
    for (const watch of this.#watches) send(watch, entry);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://server');
    const body = await read(request);
    if (this.missing.some((prefix) => url.pathname.startsWith(prefix))) {
      return refuse(response, 404, 'NotFound');
    }
    if (url.searchParams.get('watch') === 'true') return this.#watch(url, response);
    const value = (body === '' ? {} : JSON.parse(body)) as Stored;
    this.#answer(request.method ?? 'GET', url, value, response);
  }

  #answer(method: string, url: URL, body: Stored, response: ServerResponse): void {
    const path = url.pathname.replace(/\/status$/, '');
    if (method === 'POST') return this.#create(path, body, response);
    const known = this.objects.get(path);
    if (method === 'GET' && known === undefined && isCollection(path)) {
      return this.#list(url, response);
    }
    if (known === undefined) return refuse(response, 404, 'NotFound');
    if (method === 'GET') return reply(response, known);
    if (method === 'DELETE') {
      this.remove(path);
      return reply(response, known);
    }
    const sent = body.metadata?.resourceVersion;
    if (sent !== undefined && sent !== known.metadata.resourceVersion) {
      return refuse(response, 409, 'Conflict');
    }
    const next = method === 'PATCH' ? (merge(known, body) as Stored) : body;
    reply(response, this.put(collectionOf(path), next));
  }

  #create(path: string, body: Stored, response: ServerResponse): void {
    if (this.objects.has(`${path}/${body.metadata.name}`)) {
      return refuse(response, 409, 'AlreadyExists');
    }
    reply(response, this.put(path.replace(/\/namespaces\/[^/]+(?=\/)/, ''), body));
  }

  #list(url: URL, response: ServerResponse): void {
    const selector = url.searchParams.get('fieldSelector') ?? '';
    const items = [...this.objects]
      .filter(([path, object]) => isIn(url.pathname, path) && selects(selector, object))
      .map(([, object]) => object);
    reply(response, { metadata: { resourceVersion: String(this.#version) }, items });
  }

  #existing(): Logged[] {
    return [...this.objects].map(([path, object]) => {
      return { version: 0, collection: collectionOf(path), type: 'ADDED', object };
    });
  }

  #watch(url: URL, response: ServerResponse): void {
    const watch: OpenWatch = {
      collection: url.pathname,
      selector: url.searchParams.get('fieldSelector') ?? '',
      response,
    };
    const since = url.searchParams.get('resourceVersion');
    const from = Number(since ?? this.#version);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const oldest = this.#log[0]?.version ?? this.#version + 1;
    if (from < oldest - 1) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: { code: 410, metadata: {} } })}\n`);
      return;
    }
    // Without a version a watch begins with all that exist.
    if (since === null) for (const entry of this.#existing()) send(watch, entry);
    for (const entry of this.#log) if (entry.version > from) send(watch, entry);
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
  }
}

function send(watch: OpenWatch, entry: Logged): void {
  const path = `${placeOf(entry.collection, entry.object.metadata.namespace)}/x`;
  if (!isIn(watch.collection, path) || !selects(watch.selector, entry.object)) return;
  watch.response.write(`${JSON.stringify({ type: entry.type, object: entry.object })}\n`);
}

/** `/apis/g/v1/kinds` with a namespace becomes `/apis/g/v1/namespaces/ns/kinds`. */
function placeOf(collection: string, namespace: string | undefined): string {
  if (namespace === undefined || collection.includes('/namespaces/')) return collection;
  const at = collection.lastIndexOf('/');
  return `${collection.slice(0, at)}/namespaces/${namespace}${collection.slice(at)}`;
}

/** Of an object's path, without namespace. */
function collectionOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')).replace(/\/namespaces\/[^/]+(?=\/)/, '');
}

function isIn(collection: string, path: string): boolean {
  const own = path.slice(0, path.lastIndexOf('/'));
  return own === collection || collectionOf(path) === collection;
}

/** Collections here are plurals at a known depth: /api/v1/x, /apis/g/v/x, each with namespaces/ns before. */
function isCollection(path: string): boolean {
  const parts = path.replace(/\/namespaces\/[^/]+(?=\/)/, '').split('/').length;
  return parts === (path.startsWith('/apis/') ? 5 : 4);
}

function selects(selector: string, object: Stored): boolean {
  const [field, value] = selector.split('=');
  if (field === 'metadata.name') return object.metadata.name === value;
  if (field === 'type') return object.type === value;
  return true;
}

function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

function reply(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ kind: 'Status', reason, message: reason, code: status }));
}
