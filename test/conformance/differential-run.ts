// Runs the tables of the differential test, some cases at once, each through all proxies.
import { PATIENT_MS, ask, caseId, talk, withId } from './differential-client.ts';
import { responsesIn, type Delivered } from './differential-delivered.ts';
import { lenient, type Proxies, type Proxy, type ProxyName } from './differential-peers.ts';
import type { Answers } from './differential-recorder.ts';
import type { OddRequest } from './differential-requests.ts';
import type { OddResponse } from './differential-responses.ts';
import { dispute, type Outcomes } from './differential-verdict.ts';

export interface RequestResult {
  /** `group: name`. */
  name: string;
  outcomes: Outcomes;
}

export interface ResponseResult {
  name: string;
  delivered: Readonly<Record<Exclude<ProxyName, typeof lenient>, Delivered[]>>;
}

const AT_ONCE = 8;
/** The numbers of responses begin here. */
const FIRST_RESPONSE = 9000;
/** And those of requests that are looked at twice, here. */
const FIRST_SECOND_LOOK = 4500;

async function inTurns<A, B>(
  list: readonly A[],
  run: (one: A, i: number) => Promise<B>,
): Promise<B[]> {
  const results: B[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < list.length; i = next++) results[i] = await run(list[i]!, i);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

async function fromEach<T>(
  proxies: readonly Proxy[],
  run: (proxy: Proxy) => Promise<T>,
): Promise<Record<ProxyName, T>> {
  const all = proxies.map(async (proxy) => [proxy.name, await run(proxy)] as const);
  return Object.fromEntries(await Promise.all(all)) as Record<ProxyName, T>;
}

export function runRequests(
  { all }: Proxies,
  cases: readonly OddRequest[],
): Promise<RequestResult[]> {
  return inTurns(cases, async ({ group, name, raw }, i) => {
    const outcomes = await fromEach(all, (proxy) => ask(proxy, caseId(i), raw));
    const result = { name: `${group}: ${name}`, outcomes };
    if (dispute(outcomes) < 0) return result;
    // A machine that stands still for a moment looks like a proxy that waits.
    const again = await fromEach(all, (proxy) =>
      ask(proxy, caseId(FIRST_SECOND_LOOK + i), raw, PATIENT_MS),
    );
    return { ...result, outcomes: again };
  });
}

/** What the recorders are to answer while responses run. */
export function answersOf(cases: readonly OddResponse[]): Answers {
  return (target) => {
    const number = Number(/^\/case-(\d{4})$/.exec(target)?.[1] ?? 0);
    const one = cases[number - FIRST_RESPONSE];
    return one === undefined ? null : { bytes: Buffer.from(one.raw, 'latin1'), close: one.close };
  };
}

export function runResponses(
  { all }: Proxies,
  cases: readonly OddResponse[],
): Promise<ResponseResult[]> {
  const proxies = all.filter(({ name }) => name !== lenient);
  return inTurns(cases, async ({ name, method }, i) => {
    const id = caseId(FIRST_RESPONSE + i);
    const text = withId(
      `${method} /ID HTTP/1.1\r\nHost: ID.test\r\n\r\nGET /ID/next HTTP/1.1\r\nHost: ID.test\r\n\r\n`,
      id,
    );
    const delivered = await fromEach(proxies, async (proxy) => {
      const done = (): boolean => proxy.recorder.of(id).length > 1;
      const { received, closed } = await talk(proxy.port, text, done);
      return responsesIn(received, closed, [method, 'GET']);
    });
    return { name, delivered };
  });
}
