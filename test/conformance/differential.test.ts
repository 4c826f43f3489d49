// The same odd messages through HAProxy, nginx, Envoy and our sidecars. What two readers cut differently we refuse; what
// all others take alike we take, but for what is listed with the rule that forbids it.
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FRAME } from '../../proxy/codec/h2-frames.ts';
import { isWhole, sizeOf } from '../support/samples.ts';
import { deliveredDifferently, fateOf } from './differential-delivered.ts';
import { refusedRequests, refusedResponses, takenThough } from './differential-exceptions.ts';
import { others, ours, startProxies, type Proxies } from './differential-peers.ts';
import { oddRequests } from './differential-requests.ts';
import { oddResponses } from './differential-responses.ts';
import type { Outcome } from './differential-client.ts';
import { answersOf, runRequests, runResponses } from './differential-run.ts';
import type { RequestResult, ResponseResult } from './differential-run.ts';
import { requestTable, responseTable } from './differential-table.ts';
import { dispute, firstDifference, refused, whole } from './differential-verdict.ts';

/** Spread evenly over the table. */
const size = sizeOf('differentialRequests');
const step = oddRequests.length / size;
const requestCases = Array.from({ length: size }, (_, i) => oddRequests[Math.floor(i * step)]!);
const ran = new Set(requestCases.map(({ group, name }) => `${group}: ${name}`));

let proxies: Proxies;
let requests: RequestResult[];
let responses: ResponseResult[];

beforeAll(async () => {
  proxies = await startProxies(answersOf(oddResponses));
  requests = await runRequests(proxies, requestCases);
  responses = await runResponses(proxies, oddResponses);
}, 180_000);

afterAll(() => proxies.close());

const namesOf = (list: readonly { name: string }[]): string[] => list.map(({ name }) => name);

describe('an odd request', () => {
  it('of which any two readers make different requests is refused', () => {
    const taken = requests.filter(({ outcomes }) => {
      const at = dispute(outcomes);
      return at >= 0 && ours.some((name) => whole(outcomes[name]) > at || outcomes[name].followed);
    });
    const listed = Object.keys(takenThough).filter((name) => ran.has(name));
    expect(namesOf(taken)).toEqual(listed);
  });

  it('that all others take alike is taken alike, or listed with the rule that forbids it', () => {
    const notTaken = requests.filter(({ outcomes }) => {
      const alike = others.every((name) => !refused(outcomes[name]));
      const differs = ours.some(
        (name) =>
          refused(outcomes[name]) || firstDifference(outcomes[name], outcomes['haproxy']) >= 0,
      );
      return alike && differs;
    });
    const listed = Object.keys(refusedRequests).filter((name) => ran.has(name));
    expect(namesOf(notTaken).toSorted()).toEqual(listed.toSorted());
  });

  it('means the same to one sidecar and to two', () => {
    const [one, two] = ours;
    const differ = requests.filter(({ outcomes }) => {
      const a = outcomes[one];
      const b = outcomes[two];
      return firstDifference(a, b) >= 0 || whole(a) !== whole(b) || a.followed !== b.followed;
    });
    expect(namesOf(differ)).toEqual([]);
  });

  it('goes on in a form that leaves no doubt', () => {
    const doubtful = requests.filter(({ outcomes }) =>
      ours.some((name) => outcomes[name].forwarded.some(({ body }) => body.startsWith('?'))),
    );
    expect(namesOf(doubtful)).toEqual([]);
  });

  it('that is refused is answered by an error, and the connection ends', () => {
    const isAnswered = ({ received, closed }: Outcome): boolean =>
      // What waits for the rest of its body is not refused, and who says the preface is spoken to in HTTP/2.
      (!closed && received === '') ||
      (closed && (/^HTTP\/1.1 [45]/.test(received) || received.charCodeAt(3) === FRAME.settings));
    const silent = requests.filter(({ outcomes }) =>
      ours.some((name) => refused(outcomes[name]) && !isAnswered(outcomes[name])),
    );
    expect(namesOf(silent)).toEqual([]);
  });

  it('never reaches an upstream without the number of its case', () => {
    expect(proxies.all.flatMap(({ recorder }) => recorder.strays)).toEqual([]);
  });
});

describe('an odd response', () => {
  it('of which any two proxies make different ones is not delivered', () => {
    const taken = responses.filter(({ delivered }) => {
      const all = [...others, ...ours].map((name) => delivered[name]);
      return all.some((a, i) => all.slice(i + 1).some((b) => deliveredDifferently(a, b)));
    });
    expect(namesOf(taken)).toEqual([]);
  });

  it('that all others deliver alike is delivered, or listed with the rule that forbids it', () => {
    const good = (name: (typeof others)[number] | (typeof ours)[number], one: ResponseResult) =>
      one.delivered[name][0]?.complete === true && one.delivered[name][0].status < 500;
    const lost = responses.filter(
      (one) => others.every((name) => good(name, one)) && !ours.every((name) => good(name, one)),
    );
    expect(namesOf(lost).toSorted()).toEqual(Object.keys(refusedResponses).toSorted());
  });

  it('means the same to one sidecar and to two', () => {
    const [one, two] = ours;
    const fates = responses.map(({ name, delivered }) => [
      name,
      fateOf(delivered[one]),
      fateOf(delivered[two]),
    ]);
    expect(fates.filter(([, a, b]) => a !== b)).toEqual([]);
  });

  it('never reaches the request behind it', () => {
    const injected = responses.filter(({ delivered }) =>
      ours.some((name) => delivered[name].some(({ body }) => body.includes('injected'))),
    );
    expect(namesOf(injected)).toEqual([]);
  });
});

describe('the verdict', () => {
  const one = (...forwarded: [method: string, body: string, complete: boolean][]): Outcome => ({
    forwarded: forwarded.map(([method, body, complete]) => ({
      method,
      target: '/',
      host: 'a',
      body,
      complete,
    })),
    followed: false,
    received: '',
    closed: false,
  });
  const ended = (outcome: Outcome): Outcome => ({ ...outcome, closed: true });

  it('sees another body, another number of requests, and a body that swallows the next request', () => {
    const plain = one(['POST', 'abc', true]);
    expect(firstDifference(plain, one(['POST', 'abcd', true]))).toBe(0);
    expect(firstDifference(plain, one(['POST', 'abc', true], ['GET', '', true]))).toBe(1);
    expect(firstDifference(plain, one(['POST', 'abcGET /', false]))).toBe(0);
    expect(firstDifference(plain, one(['POST', 'abc', false]))).toBe(0);
  });

  it('takes no offence at who gives up earlier', () => {
    const plain = one(['POST', 'abc', true], ['GET', '', true]);
    expect(firstDifference(plain, ended(one()))).toBe(-1);
    expect(firstDifference(plain, ended(one(['POST', 'abc', true])))).toBe(-1);
    expect(firstDifference(plain, ended(one(['POST', 'ab', false])))).toBe(-1);
    expect(firstDifference(plain, plain)).toBe(-1);
  });
});

describe('the page of what each made of it', () => {
  const page = new URL('../../docs/conformance-http1.md', import.meta.url);

  it('holds every case of both tables', () => {
    if (isWhole() && process.env['UPDATE_GOLDEN'] !== undefined) {
      writeFileSync(page, requestTable(requests) + responseTable(responses));
    }
    const text = readFileSync(page, 'utf8');
    const rows = text.split('\n').filter((line) => line.startsWith('| '));
    // Two lines of heading for each of the two.
    expect(rows.length).toBe(oddRequests.length + oddResponses.length + 4);
  });
});
