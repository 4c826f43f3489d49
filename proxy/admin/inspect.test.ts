import { describe, expect, it } from '@jest/globals';
import {
  listed,
  mergedConnections,
  mergedEndpoints,
  mostListed,
  type ThreadView,
} from './inspect.ts';

const endpoint = { podName: 'cart-1', zone: '', meshed: true, inFlight: 0, failedShare: 0 };
const open = { to: '10.0.0.7:80', carries: 'TCP', peer: '', requests: 0, ageMs: 1 };

function thread(over: Partial<ThreadView>): ThreadView {
  const none = listed<never>([]);
  return { inbound: none, outbound: none, pool: none, endpoints: [], eventLoop: null, ...over };
}

describe('what several threads have open', () => {
  it('is one view of each endpoint: in sum, by the slowest, and ejected where one leaves it out', () => {
    const at = '10.0.0.7:80';
    const own = { ...endpoint, at, answerMs: 2, ejected: false, inFlight: 1 };
    const other = { ...endpoint, at, answerMs: 9, ejected: true, inFlight: 2, failedShare: 0.5 };
    const fresh = { ...endpoint, at, answerMs: null, ejected: false };
    const views = [own, other, fresh].map((one) =>
      thread({ endpoints: [{ name: 'shop/cart:80', endpoints: [one] }] }),
    );
    expect(mergedEndpoints(views)).toEqual([
      {
        name: 'shop/cart:80',
        endpoints: [{ ...own, inFlight: 3, answerMs: 9, failedShare: 0.5, ejected: true }],
      },
    ]);
  });

  it('is a bounded list of connections, with the thread of each', () => {
    const many = Array.from({ length: 2 * mostListed }, (_, i) => ({
      ...open,
      from: `10.0.0.1:${i}`,
    }));
    const views = [thread({ inbound: listed(many) }), thread({ inbound: listed(many) })];
    const { inbound } = mergedConnections(views) as {
      inbound: { count: number; listed: object[] };
    };
    expect(inbound.count).toBe(4 * mostListed);
    expect(inbound.listed).toHaveLength(mostListed);
    expect(inbound.listed[0]).toEqual({ thread: 0, ...open, from: '10.0.0.1:0' });
  });
});
