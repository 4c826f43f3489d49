// A stage on the cluster where policies change under the eyes of callers: two versions of a server, callers in the mesh
// and outside it whose every answer is kept, and changes whose statuses are watched. No kubectl process is in between.
import { createInterface } from 'node:readline';
import { apiVersionOf, collectionPath, objectPath } from '../../operator/kube/kinds.ts';
import { createTransport, type KubeTransport } from '../../operator/kube/transport.ts';
import type { Kind } from '../../operator/resources/api-client.ts';
import type { Recorded } from '../apps/record.ts';
import { waitFor } from '../../hack/lib/wait.ts';
import { execArgs, type Caller } from './calls.ts';
import { cluster, startKubectl } from './kubectl.ts';
import { createNamespace, deleteNamespace, deployEcho, podsOf } from './namespaces.ts';

export interface Answer {
  askedAtMs: number;
  /** What was decided: the status, and the version of who answered. */
  what: string;
}

export interface Recording {
  readonly answers: Answer[];
  end(): void;
}

interface Status {
  type: string;
  status: string;
  observedGeneration?: number;
}
interface Watched {
  metadata: { name: string; generation: number };
  status?: { conditions?: Status[] };
}

export class Stage {
  readonly meshed: string;
  readonly outside: string;
  readonly #transport: KubeTransport;
  readonly #abort = new AbortController();
  /** By kind and name: the generation that is Programmed, and when that was first seen. */
  readonly #programmed = new Map<string, { generation: number; atMs: number }>();

  private constructor(name: string, transport: KubeTransport) {
    this.meshed = name;
    this.outside = `${name}-outside`;
    this.#transport = transport;
  }

  static async open(name: string): Promise<Stage> {
    const { kubeconfig } = await cluster();
    const transport = createTransport({ kubeconfig, nowMs: () => performance.now() });
    const stage = new Stage(name, transport);
    await createNamespace(stage.meshed, true);
    await createNamespace(stage.outside, false);
    await Promise.all([
      deployEcho(stage.outside, { name: 'caller' }),
      deployEcho(stage.meshed, { name: 'caller-a' }),
      deployEcho(stage.meshed, { name: 'caller-b' }),
      deployEcho(stage.meshed, { name: 'server-v1', service: 'server', version: 'v1' }),
      deployEcho(stage.meshed, { name: 'server-v2', service: 'server', version: 'v2' }),
    ]);
    return stage;
  }

  /** Everything but what was changed of the Mesh. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#transport.close();
    await Promise.all([deleteNamespace(this.meshed), deleteNamespace(this.outside)]);
  }

  async record(caller: Caller, url: string, rate: number): Promise<Recording> {
    const args = [...(await execArgs(caller)), 'record', url, '--rate', String(rate)];
    const child = await startKubectl(...args);
    const answers: Answer[] = [];
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const [askedAtMs, status, version] = JSON.parse(line) as Recorded;
      answers.push({ askedAtMs, what: `${status} ${version}`.trim() });
    });
    await waitFor(`answers to ${caller.app}`, 30_000, () => answers.length > 0);
    return { answers, end: () => void child.kill() };
  }

  podIp(version: string): Promise<string> {
    const found = podsOf(this.meshed, `app=server,version=${version}`);
    return found.then((pods) => pods[0]!.ip);
  }

  async create(kind: Kind, object: { metadata: { name: string } }): Promise<void> {
    const namespace = this.#namespaceOf(kind);
    const metadata = { ...object.metadata, ...(namespace === '' ? {} : { namespace }) };
    const body = { apiVersion: apiVersionOf(kind), kind, ...object, metadata };
    await this.#send({ method: 'POST', path: collectionPath(kind, namespace), body });
  }

  async remove(kind: Kind, name: string): Promise<void> {
    await this.#send({ method: 'DELETE', path: objectPath(kind, this.#namespaceOf(kind), name) });
  }

  /** The generation that the API server gave it. */
  async change(kind: Kind, name: string, patch: object): Promise<number> {
    const path = objectPath(kind, this.#namespaceOf(kind), name);
    const contentType = 'application/merge-patch+json';
    const answer = await this.#send({ method: 'PATCH', path, body: patch, contentType });
    return answer.metadata.generation;
  }

  /** Begins to watch the conditions of the objects of a kind. */
  watch(kind: Kind): void {
    const path = `${collectionPath(kind, this.#namespaceOf(kind))}?watch=true`;
    const onLine = (line: string): void => {
      if (line !== '') this.#note(kind, (JSON.parse(line) as { object: Watched }).object);
    };
    // Ends with the stage.
    this.#transport.stream(path, { onLine }, this.#abort.signal).catch(() => undefined);
  }

  /** When Programmed was first seen to be true for this generation, in Unix milliseconds. */
  programmed(kind: Kind, name: string, generation: number): Promise<number> {
    return waitFor(`${kind} ${name} to be Programmed`, 30_000, () => {
      const seen = this.#programmed.get(`${kind}/${name}`);
      return seen?.generation === generation && seen.atMs;
    });
  }

  #note(kind: Kind, { metadata, status }: Watched): void {
    const found = status?.conditions?.find(({ type }) => type === 'Programmed');
    const { generation } = metadata;
    if (found?.status !== 'True' || found.observedGeneration !== generation) return;
    const key = `${kind}/${metadata.name}`;
    if (this.#programmed.get(key)?.generation === generation) return;
    this.#programmed.set(key, { generation, atMs: unixMs() });
  }

  #namespaceOf(kind: Kind): string {
    return kind === 'Mesh' ? '' : this.meshed;
  }

  async #send(request: Parameters<KubeTransport['send']>[0]): Promise<Watched> {
    const { status, body } = await this.#transport.send(request);
    if (status >= 300) throw new Error(`${request.method} ${request.path}: ${status} ${body}`);
    return JSON.parse(body) as Watched;
  }
}

/** As callers' pods tell it: they are on the same machine. */
export function unixMs(): number {
  return performance.timeOrigin + performance.now();
}
