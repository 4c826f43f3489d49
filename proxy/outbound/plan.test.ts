// Plans of requests: what is drawn, in which order, and that all plans that send a request on have one form.
import { describe, expect, it } from '@jest/globals';
import { destination, endpoints, loopback, route, workload } from '../../test/support/sidecar.ts';
import type { HttpRoute, Resource } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import type { Plan } from '../exchange/plan.ts';
import { planInbound } from '../inbound/plan.ts';
import { createStore } from '../state/store.ts';
import { planOutbound } from './plan.ts';

const head = (over: Partial<RequestHead> = {}): RequestHead => ({
  method: 'GET',
  scheme: 'http',
  authority: 'cart.shop',
  path: '/',
  upgrade: null,
  fields: [],
  contentLength: null,
  ...over,
});

/** Plans one request with these random numbers, all of which have to be asked for. */
function planned(over: Partial<HttpRoute>, numbers: number[], request = head()): Plan {
  const store = createStore();
  const at = { address: loopback, port: 1, family: 'IPv4' };
  const resources: Resource[] = [
    workload(),
    destination({ routes: [route({ name: 'r', ...over })] }),
    endpoints(at, null),
  ];
  store.apply(
    resources.map((resource) => ({ version: '1', resource })),
    [],
  );
  const snapshot = store.snapshot();
  const left = [...numbers];
  const random = (): number => {
    const next = left.shift();
    if (next === undefined) throw new Error('more is drawn than expected');
    return next;
  };
  const facts = {
    snapshot,
    destination: [...snapshot.destinations.values()][0]!,
    caller: snapshot.workload,
    http2: false,
    sourceAddress: loopback,
    sources: { random, nextRequestId: () => 'id' },
  };
  const plan = planOutbound(facts, request);
  expect(left).toEqual([]);
  return plan;
}

const delay = { ms: 5, percent: 10 };
const abort = { status: 503, grpcCode: null, percent: 50 };
const backend = 0.5;

describe('the plan of a request', () => {
  it('draws a number for its backend only, where the route has neither fault nor mirror', () => {
    expect(planned({}, [backend])).toMatchObject({ type: 'forward', mirrors: null, cors: null });
  });

  it('draws one for each fault and each mirror', () => {
    const mirrors = [
      { endpoints: 'a', percent: 10 },
      { endpoints: 'b', percent: 0.1 },
    ];
    const over = { fault: { delay, abort }, mirrors };
    expect(planned(over, [0.1, 0.5, backend, 0.1, 0.001])).toMatchObject({
      type: 'forward',
      mirrors: null,
    });
    expect(planned(over, [0.1, 0.5, backend, 0.0999, 0.0009])).toMatchObject({
      type: 'forward',
      mirrors: ['a', 'b'],
    });
    expect(planned(over, [0.0999, 0.5, backend, 0.5, 0.5])).toMatchObject({
      type: 'delay',
      delayMs: 5,
      next: { type: 'forward', mirrors: null },
    });
    expect(planned(over, [0.0999, 0.4999])).toMatchObject({
      type: 'delay',
      next: { type: 'refuse', reply: { code: 'fault-injected' } },
    });
  });

  it('aborts before it redirects or answers', () => {
    const directResponse = { status: 200, body: 'a', contentType: 'text/plain' };
    const over = { directResponse, backends: [], fault: { abort } };
    expect(planned(over, [0.4999])).toMatchObject({ type: 'refuse' });
    expect(planned(over, [0.5])).toMatchObject({ type: 'respond', response: { status: 200 } });
  });

  it('has one form, outbound and inbound, so that who reads it is compiled once', () => {
    const outbound = planned({}, [backend]);
    const rich = planned(
      {
        mirrors: [{ endpoints: 'a', percent: 100 }],
        cors: {
          allowOrigins: ['*'],
          allowMethods: [],
          allowHeaders: [],
          exposeHeaders: [],
          allowCredentials: false,
          maxAgeSeconds: null,
        },
      },
      [backend, 0],
    );
    const facts = { peer: null, http2: null, clientCert: '', app: [] };
    const port = workload().inbound.other;
    const inbound = planInbound(facts, port, head(), () => 'id');
    expect(Object.keys(rich)).toEqual(Object.keys(outbound));
    expect(Object.keys(inbound)).toEqual(Object.keys(outbound));
  });
});
