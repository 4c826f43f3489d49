// Guarantee 4 on a real Kubernetes: an app that closes idle connections just when they are used again. Every answer and every
// arrival is counted, of callers in the mesh and outside it.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execIn, type Caller } from '../support/calls.ts';
import { createNamespace, deleteNamespace, deployEcho } from '../support/namespaces.ts';
import { sizeOf } from '../support/samples.ts';

const meshed = 't-keep-alive';
const outside = 't-keep-alive-outside';

/** After so many milliseconds the app closes; `often`: how many rounds of it fit into one of the slowest. */
const kinds = [
  { idleMs: 1, port: 80, often: 20 },
  { idleMs: 100, port: 7000, often: 5 },
  { idleMs: 1_000, port: 7001, often: 1 },
] as const;

interface Counted {
  statuses: Record<string, number>;
  /** Paths that came to the app more than once. */
  twice: string[];
}

class Asking {
  readonly caller: Caller;
  readonly kind: (typeof kinds)[number];
  readonly count: number;

  constructor(caller: Caller, kind: (typeof kinds)[number]) {
    this.caller = caller;
    this.kind = kind;
    this.count = 20 * kind.often * sizeOf('keepAliveRounds');
  }

  ask(method: 'GET' | 'POST', name: string): Promise<Counted> {
    const { port, idleMs } = this.kind;
    const url = `http://hasty.${meshed}:${port}`;
    const named = `${this.caller.namespace}-${name}`;
    const options = [
      '--method',
      method,
      '--requests',
      String(this.count),
      '--idle',
      String(idleMs),
    ];
    return execIn<Counted>(this.caller, ['at-edge', url, named, ...options]);
  }

  get allAnswered() {
    return { 200: this.count };
  }
}

/** POSTs until a whole batch is answered: what crosses a close may fail until the time is known, and never after. */
async function postUntilAllAnswered(asking: Asking): Promise<Counted[]> {
  const batches: Counted[] = [];
  while (batches.length < 5) {
    const batch = await asking.ask('POST', `post-${batches.length}`);
    batches.push(batch);
    if (batch.statuses['200'] === asking.count) break;
  }
  return batches;
}

describe('an app that closes idle connections after 1 ms, 100 ms and 1 s', () => {
  beforeAll(async () => {
    await Promise.all([createNamespace(meshed, true), createNamespace(outside, false)]);
    const ends = '8080=1,7000=100,7001=1000';
    await Promise.all([
      deployEcho(meshed, { name: 'hasty', container: { args: ['hasty', ends] } }),
      deployEcho(meshed, { name: 'client' }),
      deployEcho(outside, { name: 'client' }),
    ]);
  }, 240_000);
  afterAll(() => Promise.all([deleteNamespace(meshed), deleteNamespace(outside)]), 240_000);

  it.each([
    ['in the mesh', meshed],
    ['outside it', outside],
  ])(
    'answers each GET of a caller %s, and each POST once its time is known; none is sent twice',
    async (_, namespace) => {
      const caller = { namespace, app: 'client' };
      const all = kinds.map(async (kind) => {
        const asking = new Asking(caller, kind);
        const batches = await postUntilAllAnswered(asking);
        expect(batches.at(-1)!.statuses).toEqual(asking.allAnswered);
        // 502: it may have reached the app. Never 503, which says that it did not, and never an end without an answer.
        const seen = new Set(batches.flatMap(({ statuses }) => Object.keys(statuses)));
        expect([...seen].filter((status) => status !== '200' && status !== '502')).toEqual([]);
        expect(batches.flatMap(({ twice }) => twice)).toEqual([]);
        const gets = await asking.ask('GET', 'get');
        expect(gets.statuses).toEqual(asking.allAnswered);
        process.stdout.write(
          `${namespace}, idle ${kind.idleMs} ms: POST ${JSON.stringify(batches.map((one) => one.statuses))}, ` +
            `GET ${JSON.stringify(gets.statuses)}, sent twice ${gets.twice.length}\n`,
        );
      });
      await Promise.all(all);
    },
    240_000,
  );
});
