import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type {
  ClientStream,
  Fields,
  RequestHead,
  ResetReason,
  ResponseHead,
  ServerStream,
  StreamListener,
} from '../codec/session.ts';
import { Flusher } from '../net/flusher.ts';
import { SocketReader } from '../net/socket-reader.ts';
import { SocketWriter } from '../net/socket-writer.ts';
import { newHandshakes } from '../net/link.ts';
import { createTestClock } from '../net/test-clock.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import type { StreamTaker } from '../pool/peer.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { EndpointHandle, PreparedRetry, Snapshot } from '../state/prepared.ts';
import { createCounters } from '../telemetry/counters.ts';
import type { ExchangeContext } from './context.ts';
import { Exchange } from './exchange.ts';
import { createMirrorGate } from './mirror.ts';
import type { ForwardPlan } from './plan.ts';
import { untraced } from '../tracing/test-tracer.ts';
import { newLoad } from '../policy/load.ts';
import { newRetryBudget } from '../policy/retry-budget.ts';

/** Either half of an exchange as a codec would give it; remembers what was said. */
class FakeStream<Out, In> {
  readonly id = 1;
  readonly queuedBytes = 0;
  listener!: StreamListener<In>;
  heads: Out[] = [];
  text = '';
  trailers: Fields | null = null;
  ended = false;
  resetBy: ResetReason | null = null;
  credited = 0;
  full = false;
  /** A refused `sendData` is owed an `onDrained`. */
  owesDrain = false;

  sendHead(head: Out, end: boolean): boolean {
    this.check();
    this.heads.push(head);
    if (end) this.ended = true;
    return true;
  }

  sendData(chunk: Buffer, end: boolean): boolean {
    this.check();
    this.text += chunk.toString();
    if (end) this.ended = true;
    if (this.full) this.owesDrain = true;
    return !this.full;
  }

  sendTrailers(fields: Fields): void {
    this.check();
    this.trailers = fields;
    this.ended = true;
  }

  reset(reason: ResetReason): void {
    this.resetBy ??= reason;
  }

  consumed(bytes: number): void {
    this.credited += bytes;
  }

  get over(): boolean {
    return this.ended || this.resetBy !== null;
  }

  private check(): void {
    if (this.ended) throw new Error('sent after the end');
  }
}

type Client = FakeStream<ResponseHead, RequestHead> & ServerStream;
type Upstream = FakeStream<RequestHead, ResponseHead> & ClientStream;

interface Try {
  endpoint: EndpointHandle;
  taker: StreamTaker;
  stream: Upstream | null;
  sentHead: boolean;
  sentBytes: number;
  ended: boolean;
  writes: { count: number };
}

function endpoint(name: string): EndpointHandle {
  return {
    key: `${name}|`,
    address: name,
    port: 80,
    identity: null,
    podName: name,
    zone: '',
    load: newLoad(),
  };
}

/** An exchange between a client and a pool that the test plays. */
class Stage {
  readonly clock = createTestClock(0);
  readonly counters = createCounters();
  readonly client = new FakeStream<ResponseHead, RequestHead>() as Client;
  readonly tries: Try[] = [];
  readonly endpoints = [endpoint('a'), endpoint('b')];
  readonly active = { requests: 0 };
  readonly budget = newRetryBudget();
  readonly exchange: Exchange;
  snapshot: Snapshot = {
    workload: null,
    destinations: new Map(),
    endpoints: new Map(),
  };
  reused = false;
  sent = 0;
  requestEnded = false;

  constructor(over: Partial<ForwardPlan> = {}, end = false, method = 'POST') {
    const head: RequestHead = {
      method,
      scheme: 'http',
      authority: 'cart',
      path: '/x',
      upgrade: null,
      fields: [],
      contentLength: null,
    };
    const plan: ForwardPlan = {
      type: 'forward',
      head,
      route: 'route',
      endpoints: this.endpoints,
      endpointsName: 'set',
      plain: 'http1',
      tellHttp2: false,
      timeoutMs: 1000,
      idleTimeoutMs: null,
      connectTimeoutMs: null,
      retry: null,
      outlier: null,
      use: null,
      balance: null,
      responseHeaders: null,
      cors: null,
      mirrors: null,
      budget: this.budget,
      grpc: false,
      requestId: 'id',
      workload: '',
      trace: null,
      ...over,
    };
    this.requestEnded = end;
    this.exchange = new Exchange(this.context(), plan, this.client, end);
    this.client.listener = this.exchange;
    this.exchange.start();
  }

  get last(): Try {
    return this.tries.at(-1)!;
  }

  send(text: string, end = false): void {
    this.sent += text.length;
    this.requestEnded = end;
    this.exchange.onData(Buffer.from(text), end);
  }

  connect(one = this.last): void {
    const connection = {
      opened: this.reused ? 1 : 0,
      driver: { writes: 0 },
      session: { error: null },
      link: { peer: null },
      noteRace: () => undefined,
      open: (head: RequestHead, end: boolean, listener: StreamListener<ResponseHead>) => {
        const stream = new FakeStream<RequestHead, ResponseHead>() as Upstream;
        stream.listener = listener;
        stream.sendHead(head, end);
        one.stream = stream;
        one.writes = { count: 0 };
        return stream;
      },
    };
    one.taker.onConnection(connection as unknown as PooledConnection);
    connection.driver.writes = 1;
  }

  answer(status: number, end = false, fields: Fields = []): void {
    const { last } = this;
    if (status >= 200) last.sentHead = true;
    if (end) last.ended = true;
    last.stream!.listener.onHead({ status, fields, contentLength: null }, end);
  }

  answerData(text: string, end = false): void {
    const { last } = this;
    last.sentBytes += text.length;
    if (end) last.ended = true;
    last.stream!.listener.onData(Buffer.from(text), end);
  }

  private context(): ExchangeContext {
    const io = {
      clock: this.clock,
      wheel: new TimerWheel(this.clock),
      flusher: new Flusher((run) => run()),
      reader: new SocketReader(),
      writer: new SocketWriter(),
      handshakes: newHandshakes(),
    };
    return {
      deps: {
        io,
        pool: {
          request: (chosen, _, taker) => {
            const none = { stream: null, sentHead: false, sentBytes: 0, ended: false };
            this.tries.push({ endpoint: chosen, taker, ...none, writes: { count: 0 } });
          },
          cancel: () => undefined,
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
        random: () => 0.5,
        store: { snapshot: () => this.snapshot },
        logger: { info: () => undefined, warn: () => undefined },
        mirrors: createMirrorGate(),
        tracer: untraced(),
      },
      direction: 'outbound',
      series: this.counters.series('outbound', 'cart'),
      destination: 'cart',
      peer: '',
      peerAddress: '',
      peerWorkload: '',
      peerFacts: null,
      protocol: 'HTTP/1.1',
      ongoing: null,
      active: this.active,
    };
  }
}

const retry: PreparedRetry = {
  attempts: 2,
  on: new Set(['5xx']),
  statuses: new Set(),
  grpcCodes: new Set(),
  perTryTimeoutMs: 100,
  backoffMs: 10,
  maxBackoffMs: 100,
  budgetPercent: 20,
  budgetMinConcurrent: 3,
};

function expectSettled(stage: Stage): void {
  expect(stage.active.requests).toBe(0);
  expect(stage.budget).toMatchObject({ inFlight: 0, retries: 0 });
  expect(stage.endpoints.map(({ load }) => load.inFlight)).toEqual([0, 0]);
  expect(stage.counters.totals('outbound').requests).toBe(1);
}

describe('an exchange', () => {
  it('joins request and answer', () => {
    const stage = new Stage();
    stage.send('he');
    stage.connect();
    stage.send('llo', true);
    expect(stage.last.stream).toMatchObject({ text: 'hello', ended: true });
    stage.answer(103, false, ['link', 'x']);
    stage.answer(200);
    stage.answerData('wor');
    stage.answerData('ld', true);
    expect(stage.client.heads.map(({ status }) => status)).toEqual([103, 200]);
    expect(stage.client).toMatchObject({ text: 'world', ended: true, credited: 5 });
    expect(stage.last.stream!.credited).toBe(5);
    expectSettled(stage);
  });

  it('holds credit back while the other side is full', () => {
    const stage = new Stage();
    stage.connect();
    stage.last.stream!.full = true;
    stage.send('abc');
    expect(stage.client.credited).toBe(0);
    stage.last.stream!.full = false;
    stage.last.stream!.listener.onDrained();
    expect(stage.client.credited).toBe(3);
    stage.answer(200);
    stage.client.full = true;
    stage.answerData('defg');
    expect(stage.last.stream!.credited).toBe(0);
    stage.client.full = false;
    stage.exchange.onDrained();
    expect(stage.last.stream!.credited).toBe(4);
  });

  it('does not credit what waits for a connection', () => {
    const stage = new Stage();
    stage.send('waiting');
    expect(stage.client.credited).toBe(0);
    stage.connect();
    expect(stage.client.credited).toBe(7);
  });

  it('keeps a short body for another attempt, not a long one', () => {
    for (const [size, attempts] of [
      [60_000, 2],
      [70_000, 1],
    ] as const) {
      const stage = new Stage({ retry });
      stage.connect();
      stage.send('x'.repeat(size), true);
      stage.answer(503, true);
      stage.clock.pass(50);
      expect(stage.tries).toHaveLength(attempts);
      if (attempts === 2) {
        stage.connect();
        expect(stage.last.stream!.text).toHaveLength(size);
      }
    }
  });

  it('sends trailers on, in a further attempt too', () => {
    const stage = new Stage({ retry });
    stage.connect();
    stage.send('x');
    stage.exchange.onTrailers(['sum', '1']);
    stage.answer(500, true);
    stage.clock.pass(50);
    stage.connect();
    expect(stage.last.stream).toMatchObject({ text: 'x', trailers: ['sum', '1'], ended: true });
  });

  it('goes on with a request whose answer came early', () => {
    const stage = new Stage();
    stage.connect();
    stage.answer(200, true);
    expectSettled(stage);
    stage.send('more', true);
    expect(stage.last.stream).toMatchObject({ text: 'more', ended: true });
    expect(stage.client.credited).toBe(4);
  });

  it('throws the rest away when the upstream wants no more of it after its answer', () => {
    const stage = new Stage();
    stage.connect();
    stage.answer(200, true);
    stage.last.stream!.listener.onReset('cancelled');
    stage.send('more', true);
    expect([stage.client.credited, stage.client.resetBy]).toEqual([4, null]);
  });

  it('takes another endpoint for a request that did not go out', () => {
    const stage = new Stage({}, true);
    const first = stage.last.endpoint;
    stage.last.taker.onUnavailable('connect-failed', 'refused');
    expect(stage.last.endpoint).not.toBe(first);
    stage.connect();
    stage.answer(200, true);
    expectSettled(stage);
  });

  it('repeats what the peer refused, at once and then with pauses, but not for ever', () => {
    const stage = new Stage({}, true);
    for (let i = 0; i < 7; i += 1) {
      stage.connect();
      stage.last.stream!.listener.onReset('refused');
      expect(stage.tries).toHaveLength(Math.min(i === 0 ? 2 : i + 1, 7));
      stage.clock.pass(450);
      if (stage.active.requests === 0) break;
    }
    expect(stage.client.heads[0]).toMatchObject({ status: 504 });
    expectSettled(stage);
    const patient = new Stage({ timeoutMs: null }, true);
    while (patient.active.requests > 0) {
      patient.connect();
      patient.last.stream!.listener.onReset('refused');
      patient.clock.pass(450);
    }
    expect(patient.tries).toHaveLength(7);
    expect(patient.client.heads[0]).toMatchObject({ status: 503 });
  });

  it('goes by the endpoints that are known when it tries again', () => {
    const stage = new Stage({}, true);
    stage.connect();
    const fresh = endpoint('fresh');
    stage.snapshot = {
      ...stage.snapshot,
      endpoints: new Map([['set', { name: 'set', endpoints: [fresh] }]]),
    };
    stage.last.stream!.listener.onReset('refused');
    expect(stage.last.endpoint).toBe(fresh);
  });

  it('gives an only endpoint that cannot be reached little time', () => {
    const stage = new Stage({ endpoints: [endpoint('only')] }, true);
    for (let i = 0; i < 3; i += 1) {
      stage.last.taker.onUnavailable('connect-failed', 'refused');
      stage.clock.pass(60);
    }
    expect(stage.tries).toHaveLength(3);
    expect(stage.client.heads[0]).toMatchObject({ status: 503 });
  });

  it('repeats an idempotent request on a connection that was used before, no other', () => {
    for (const [method, reused, attempts] of [
      ['GET', true, 2],
      ['GET', false, 1],
      ['POST', true, 1],
    ] as const) {
      const stage = new Stage({}, true, method);
      stage.reused = reused;
      stage.connect();
      stage.last.stream!.listener.onReset('closed');
      expect(stage.tries).toHaveLength(attempts);
    }
  });

  it('resets the client when the answer breaks off', () => {
    const stage = new Stage({ retry }, true);
    stage.connect();
    stage.answer(200);
    stage.answerData('half');
    stage.last.stream!.listener.onReset('closed');
    expect(stage.client).toMatchObject({ text: 'half', ended: false, resetBy: 'internal' });
    expect(stage.tries).toHaveLength(1);
    expect(stage.counters.totals('outbound').failures).toBe(1);
    expectSettled(stage);
  });

  it('answers 504 when its time is over, and resets what had begun', () => {
    const stage = new Stage({}, true);
    stage.connect();
    stage.clock.pass(1010);
    expect(stage.client.heads[0]).toMatchObject({ status: 504 });
    expect(stage.client.text).toContain('route: 1000 ms');
    expect(stage.last.stream!.resetBy).toBe('cancelled');
    expectSettled(stage);
    const begun = new Stage({}, true);
    begun.connect();
    begun.answer(200);
    begun.clock.pass(1010);
    expect(begun.client.resetBy).toBe('timeout');
    expectSettled(begun);
  });

  it('does not time a tunnel', () => {
    const stage = new Stage();
    stage.connect();
    stage.answer(101);
    stage.send('tunnel', true);
    stage.clock.pass(5000);
    expect(stage.client.resetBy).toBeNull();
    stage.answerData('', true);
    expectSettled(stage);
  });

  it('waits before a retry that a policy asked for, and stops waiting when the client leaves', () => {
    const stage = new Stage({ retry }, true);
    stage.connect();
    stage.answer(503, true);
    expect([stage.tries.length, stage.budget.retries]).toEqual([1, 1]);
    stage.exchange.onReset('cancelled');
    stage.clock.pass(1000);
    expect(stage.tries).toHaveLength(1);
    expectSettled(stage);
  });

  it('does not retry beyond its budget', () => {
    const stage = new Stage(
      { retry: { ...retry, budgetMinConcurrent: 0, budgetPercent: 0 } },
      true,
    );
    stage.connect();
    stage.answer(503, true);
    expect(stage.client.heads[0]).toMatchObject({ status: 503 });
    expectSettled(stage);
  });

  it('says that there is nobody to ask', () => {
    const stage = new Stage({ endpoints: [] }, true);
    expect(stage.client.heads[0]).toMatchObject({ status: 503 });
    expect(stage.active.requests).toBe(0);
  });

  it('tells an app without answer in HTTP that is none apart from one that closed', () => {
    for (const [reason, status] of [
      ['protocol', 502],
      ['closed', 502],
    ] as const) {
      const stage = new Stage({}, true);
      stage.connect();
      stage.last.stream!.listener.onReset(reason);
      expect(stage.client.heads[0]).toMatchObject({ status });
    }
  });
});

/** What may happen next, if it may; each number of the sequence chooses one. */
const events: ((stage: Stage) => void)[] = [
  (s) => !s.requestEnded && s.client.resetBy === null && s.send('abc'),
  (s) => !s.requestEnded && s.client.resetBy === null && s.send('z', true),
  (s) => live(s) && s.last.stream === null && s.connect(),
  (s) => live(s) && s.last.stream === null && fail(s),
  (s) => answering(s) && !s.last.sentHead && s.answer(200),
  (s) => answering(s) && !s.last.sentHead && s.answer(503, true),
  (s) => answering(s) && s.last.sentHead && s.answerData('data'),
  (s) => answering(s) && s.last.sentHead && s.answerData('end', true),
  (s) => answering(s) && upstreamReset(s, 'closed'),
  (s) => answering(s) && upstreamReset(s, 'refused'),
  (s) => s.clock.pass(60),
  (s) => void (s.client.full = !s.client.full),
  (s) => s.last.stream !== null && (s.last.stream.full = !s.last.stream.full),
  drain,
];

const dead = new WeakSet<Try>();
const live = (s: Stage) => !dead.has(s.last) && s.active.requests > 0;
const answering = (s: Stage) =>
  s.last.stream !== null && s.last.stream.resetBy === null && !s.last.ended && !dead.has(s.last);

function fail(stage: Stage): void {
  dead.add(stage.last);
  stage.last.taker.onUnavailable('connect-failed', '');
}

function upstreamReset(stage: Stage, reason: ResetReason): void {
  dead.add(stage.last);
  stage.last.stream!.listener.onReset(reason);
}

function drain(stage: Stage): void {
  stage.client.full = false;
  if (stage.client.owesDrain) {
    stage.client.owesDrain = false;
    stage.exchange.onDrained();
  }
  const { stream } = stage.last;
  if (stream === null) return;
  stream.full = false;
  if (stream.owesDrain) {
    stream.owesDrain = false;
    stream.listener.onDrained();
  }
}

describe('an exchange, whatever happens in whatever order', () => {
  it('ends once, gives all credit back, and leaves no count behind', () => {
    const sequence = fc.array(fc.nat(events.length - 1), { maxLength: 40 });
    fc.assert(
      fc.property(sequence, fc.boolean(), (numbers, clientLeaves) => {
        const stage = new Stage({ retry });
        for (const number of numbers) events[number]!(stage);
        if (clientLeaves && stage.client.resetBy === null) stage.exchange.onReset('cancelled');
        else if (!stage.requestEnded && stage.client.resetBy === null) stage.send('', true);
        drain(stage);
        stage.clock.pass(10_000);
        drain(stage);
        expectSettled(stage);
        if (!clientLeaves) expect(stage.client.over).toBe(true);
        expect(stage.client.heads.filter(({ status }) => status >= 200).length).toBeLessThan(2);
        if (stage.client.resetBy === null && !clientLeaves)
          expect(stage.client.credited).toBe(stage.sent);
      }),
      { numRuns: 3000 },
    );
  });
});
