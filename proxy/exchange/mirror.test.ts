// What copies hold while their mirror cannot be reached: a pool that never answers, so that no kernel buffer hides it.
import { describe, expect, it } from '@jest/globals';
import type { RequestHead, ResponseHead, StreamListener } from '../codec/session.ts';
import { Flusher } from '../net/flusher.ts';
import { SocketReader } from '../net/socket-reader.ts';
import { SocketWriter } from '../net/socket-writer.ts';
import { newHandshakes } from '../net/link.ts';
import { createTestClock } from '../net/test-clock.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import { untraced } from '../tracing/test-tracer.ts';
import { newLoad } from '../policy/load.ts';
import type { StreamTaker } from '../pool/peer.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { EndpointHandle } from '../state/prepared.ts';
import { createCounters } from '../telemetry/counters.ts';
import { contextOf, type StreamSource } from './context.ts';
import { createMirrorGate, startMirrors } from './mirror.ts';
import type { ForwardPlan } from './plan.ts';

const head: RequestHead = {
  method: 'POST',
  scheme: 'http',
  authority: 'cart',
  path: '/',
  upgrade: null,
  fields: [],
  contentLength: null,
};

type Asking = Parameters<StreamSource['request']>;

function stage() {
  const endpoint: EndpointHandle = {
    key: 'mirror|',
    address: 'mirror',
    port: 80,
    identity: null,
    podName: '',
    zone: '',
    load: newLoad(),
  };
  const clock = createTestClock(0);
  const counters = createCounters();
  const waiting = new Set<StreamTaker>();
  const gate = createMirrorGate();
  const endpoints = new Map([['mirror', { name: 'mirror', endpoints: [endpoint] }]]);
  const io = {
    clock,
    wheel: new TimerWheel(clock),
    flusher: new Flusher(),
    reader: new SocketReader(),
    writer: new SocketWriter(),
    handshakes: newHandshakes(),
  };
  const deps = {
    io,
    counters,
    pool: {
      request: (...[, , taker]: Asking) => void waiting.add(taker),
      cancel: (...[, , taker]: Asking) => void waiting.delete(taker),
      connected: () => true,
      giveUpIdle: () => false,
      awaitsDial: () => true,
    },
    accessLog: {
      wants: () => false,
      write: () => undefined,
      set: () => undefined,
      dropped: () => 0,
      flush: () => undefined,
    },
    random: () => 0,
    store: {
      snapshot: () => ({
        workload: null,
        destinations: new Map(),
        endpoints,
      }),
    },
    mirrors: gate,
    tracer: untraced(),
    logger: { info: () => undefined, warn: () => undefined },
  };
  const active = { requests: 0 };
  const context = contextOf(deps, {
    direction: 'outbound',
    destination: 'cart.shop:80',
    peer: null,
    active,
  });
  let original = 0;
  const listener: StreamListener<RequestHead> = {
    onHead: () => undefined,
    onData: (chunk) => (original += chunk.length),
    onTrailers: () => undefined,
    onReset: () => undefined,
    onDrained: () => undefined,
  };
  const plan = { head, mirrors: ['mirror'], timeoutMs: null, plain: 'http1' } as const;
  return {
    clock,
    load: endpoint.load,
    gate,
    waiting,
    begin: (end = false) => startMirrors(context, plan as unknown as ForwardPlan, listener, end),
    result: () => counters.snapshot('outbound')[0]!.mirrors,
    original: () => original,
    heldBytes: () => [...gate.copies].reduce((all, copy) => all + copy.lagBytes, 0),
  };
}

const mebibyte = 1024 * 1024;

describe('copies', () => {
  it('hold a MiB each, then are dropped, and the original hears all of it', () => {
    const { begin, gate, waiting, result, heldBytes, original, load } = stage();
    const request = begin();
    const chunk = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 16; i += 1) request.onData(chunk, false);
    expect([heldBytes(), gate.copies.size, waiting.size]).toEqual([mebibyte, 1, 1]);
    for (let i = 0; i < 16; i += 1) request.onData(chunk, false);
    expect([heldBytes(), gate.copies.size, waiting.size]).toEqual([0, 0, 0]);
    expect(original()).toBe(2 * mebibyte);
    expect(result()).toEqual({ answered: 0, failed: 0, dropped: 1 });
    expect(load.inFlight).toBe(0);
  });

  it('hold 8 MiB together', () => {
    const { begin, heldBytes, result, original } = stage();
    const requests = Array.from({ length: 60 }, () => begin());
    const chunk = Buffer.alloc(64 * 1024);
    let most = 0;
    for (let i = 0; i < 10; i += 1)
      for (const request of requests) {
        request.onData(chunk, false);
        most = Math.max(most, heldBytes());
      }
    expect(most).toBeGreaterThan(7 * mebibyte);
    expect(most).toBeLessThanOrEqual(8 * mebibyte);
    expect(original()).toBe(600 * 64 * 1024);
    expect(result().dropped).toBeGreaterThan(30);
    expect(result().dropped).toBeLessThan(60);
  });

  it('leave no count behind where their mirror does not take their head', () => {
    const { begin, gate, waiting, result, load } = stage();
    begin(true);
    const [taker] = waiting;
    const open = (_: RequestHead, __: boolean, listener: StreamListener<ResponseHead>) => {
      listener.onReset('too-large');
      return {};
    };
    taker!.onConnection({ link: { peer: null }, open } as unknown as PooledConnection);
    expect([gate.copies.size, waiting.size, load.inFlight, load.waiting]).toEqual([0, 0, 0, 0]);
    expect(result()).toEqual({ answered: 0, failed: 1, dropped: 0 });
  });

  it('are 1,024 at a time at most, and patient for a while only', () => {
    const { begin, gate, waiting, result, clock, load } = stage();
    for (let i = 0; i < 1100; i += 1) begin(true);
    expect([gate.copies.size, waiting.size, result().dropped]).toEqual([1024, 1024, 76]);
    clock.pass(15_010);
    expect([gate.copies.size, waiting.size]).toEqual([0, 0]);
    expect(result()).toEqual({ answered: 0, failed: 1024, dropped: 76 });
    expect(load.inFlight).toBe(0);
  });
});
