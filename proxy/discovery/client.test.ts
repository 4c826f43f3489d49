import { describe, expect, it } from '@jest/globals';
import type { SecureContext } from 'node:tls';
import type { DownMessage, Push, ResourceError, UpMessage } from '../api/discovery.ts';
import type { SpiffeId } from '../api/spiffe.ts';
import { createIdentityHolder, type Identity, type IdentityHolder } from '../identity/store.ts';
import { createTestClock, type TestClock } from '../net/test-clock.ts';
import { createStore } from '../state/store.ts';
import { createCounters } from '../telemetry/counters.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createDiscoveryClient, type DiscoveryClient, type DiscoveryDeps } from './client.ts';
import type { StreamHandlers } from './transport.ts';

interface FakeStream {
  host: string;
  serial: string;
  sent: UpMessage[];
  closed: boolean;
  handlers: StreamHandlers;
}

interface World {
  client: DiscoveryClient;
  clock: TestClock;
  holder: IdentityHolder;
  streams: FakeStream[];
  logged: string[];
  applied: Push[];
  wanted: string[];
  turn: () => void;
}

const pod = { namespace: 'shop', name: 'cart-1', uid: 'u1', ips: ['10.0.0.7'] };

function identity(serial: string): Omit<Identity, 'generation'> {
  return {
    secureContext: {} as SecureContext,
    spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId,
    trustDomain: 'cluster.local',
    serial,
    notBeforeMs: 0,
    notAfterMs: Number.MAX_SAFE_INTEGER,
    rootsPem: '',
    rootsNotAfterMs: Number.MAX_SAFE_INTEGER,
    underRoot: 'AB',
    trustedRoots: ['AB'],
  };
}

function world(
  hosts: string[] = ['10.96.0.9'],
  errors: ResourceError[] = [],
  more: Partial<DiscoveryDeps> = {},
): World {
  const clock = createTestClock();
  const holder = createIdentityHolder();
  const store = createStore();
  const streams: FakeStream[] = [];
  const logged: string[] = [];
  const applied: Push[] = [];
  const wanted: string[] = [];
  let pending: (() => void)[] = [];
  const client = createDiscoveryClient({
    addresses: hosts.map((host) => ({ host, port: 15012 })),
    pod,
    proxyVersion: 'test',
    identity: holder,
    store: {
      snapshot: () => store.snapshot(),
      held: () => ({ 'Workload/self': 'v1' }),
      apply: (resources, removed) => {
        applied.push({ nonce: '', resources: [...resources], removed: [...removed] });
        return errors;
      },
    },
    wanted: () => wanted,
    statistics: () => ({
      startedAtMs: 1,
      inbound: createCounters().totals('inbound'),
      outbound: createCounters().totals('outbound'),
      certificate: null,
    }),
    onApplied: () => {},
    openStream: (target, handlers) => {
      const { host } = target;
      const { serial } = target.identity;
      const stream: FakeStream = { host, serial, sent: [], closed: false, handlers };
      streams.push(stream);
      return {
        send: (message) => void stream.sent.push(message),
        queuedBytes: () => 0,
        close: () => void (stream.closed = true),
      };
    },
    clock,
    afterTurn: (run) => void pending.push(run),
    random: () => 0.5,
    logger: createLogger({
      level: 'debug',
      wallTimeMs: () => 0,
      write: (line) => void logged.push(line),
    }),
    ...more,
  });
  const turn = (): void => {
    const due = pending;
    pending = [];
    for (const run of due) run();
  };
  return { client, clock, holder, streams, logged, applied, wanted, turn };
}

function connected(
  errors: ResourceError[] = [],
  more: Partial<DiscoveryDeps> = {},
): World & { stream: FakeStream } {
  const all = world(undefined, errors, more);
  all.holder.swap(identity('A1'));
  all.client.start();
  const stream = all.streams[0]!;
  stream.handlers.onOpen();
  return { ...all, stream };
}

function down(stream: FakeStream, message: DownMessage): void {
  stream.handlers.onMessage(JSON.stringify(message));
}

describe('the discovery client', () => {
  it('waits for a certificate, then says who it is, what it holds and what it wants', () => {
    const { client, holder, streams, wanted } = world();
    client.start();
    expect(streams).toHaveLength(0);
    wanted.push('10.96.0.7:80');
    holder.swap(identity('A1'));
    expect(streams[0]!.sent).toEqual([
      {
        hello: {
          pod,
          proxyVersion: 'test',
          held: { 'Workload/self': 'v1' },
          subscribe: ['10.96.0.7:80'],
        },
      },
    ]);
  });

  it('is connected once the operator accepts the stream', () => {
    const { client, holder, streams } = world();
    holder.swap(identity('A1'));
    client.start();
    expect(client.connected()).toBe(false);
    streams[0]!.handlers.onOpen();
    expect(client.connected()).toBe(true);
  });

  it('acknowledges a push after it was put in force, with what was wrong in it', () => {
    const wrong: ResourceError = {
      key: 'Destination/10.96.0.7:80',
      path: '/routes',
      message: 'no',
    };
    const all = world(['10.96.0.9'], [wrong]);
    all.holder.swap(identity('A1'));
    all.client.start();
    const stream = all.streams[0]!;
    stream.handlers.onOpen();
    down(stream, { push: { nonce: 'n1', resources: [], removed: ['Endpoints/a'] } });
    expect(all.applied).toEqual([{ nonce: '', resources: [], removed: ['Endpoints/a'] }]);
    expect(stream.sent.at(-1)).toEqual({ ack: { nonce: 'n1', errors: [wrong] } });
  });

  it('sends the subscriptions of one turn together, and none that was taken back', () => {
    const { client, stream, turn } = connected();
    client.subscribe('10.96.0.1:80');
    client.subscribe('10.96.0.2:80');
    client.subscribe('10.96.0.3:80');
    client.unsubscribe(['10.96.0.2:80']);
    turn();
    expect(stream.sent.slice(-2)).toEqual([
      { subscribe: ['10.96.0.1:80', '10.96.0.3:80'] },
      { unsubscribe: ['10.96.0.2:80'] },
    ]);
  });

  it('tries the addresses in order, the next one at once, and waits after the last', () => {
    const { client, holder, streams, clock } = world(['10.96.0.9', 'tsmesh-operator.svc']);
    holder.swap(identity('A1'));
    client.start();
    streams[0]!.handlers.onEnd('refused');
    clock.pass(0);
    expect(streams.map((stream) => stream.host)).toEqual(['10.96.0.9', 'tsmesh-operator.svc']);
    streams[1]!.handlers.onEnd('refused');
    expect(clock.waiting()[0]).toBeGreaterThan(0);
    clock.pass(100);
    expect(streams[2]!.host).toBe('10.96.0.9');
  });

  it('waits longer with every failed round, up to ten seconds', () => {
    const { client, holder, streams, clock } = world();
    holder.swap(identity('A1'));
    client.start();
    const delays: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      streams.at(-1)!.handlers.onEnd('refused');
      delays.push(clock.waiting()[0]!);
      clock.pass(10_000);
    }
    expect(delays).toEqual([...delays].sort((a, b) => a - b));
    expect(delays[0]).toBeLessThan(100);
    expect(delays.at(-1)).toBe(5500);
  });

  it('writes the reason of a loss once, not at every attempt', () => {
    const { client, holder, streams, clock, logged } = world();
    holder.swap(identity('A1'));
    client.start();
    for (let round = 0; round < 3; round += 1) {
      streams.at(-1)!.handlers.onEnd('ECONNREFUSED');
      clock.pass(10_000);
    }
    const warnings = logged.filter((line) => line.includes('"warn"'));
    expect(warnings).toHaveLength(1);
  });

  it('keeps the old stream until the one with the new certificate is accepted', () => {
    const { client, clock, holder, streams, stream } = connected();
    holder.swap(identity('B2'));
    clock.pass(5000);
    expect(streams.map(({ serial }) => serial)).toEqual(['A1', 'B2']);
    expect(stream.closed).toBe(false);
    expect(client.connected()).toBe(true);
    streams[1]!.handlers.onOpen();
    expect(stream.closed).toBe(true);
    expect(client.connected()).toBe(true);
    stream.handlers.onEnd('closed');
    expect(client.connected()).toBe(true);
  });

  it('asks for a destination on the old and on the new stream while one replaces the other', () => {
    const { client, clock, streams, stream, turn } = connected();
    down(stream, { reconnect: true });
    clock.pass(0);
    client.subscribe('10.96.0.1:80');
    turn();
    expect(stream.sent.at(-1)).toEqual({ subscribe: ['10.96.0.1:80'] });
    expect(streams[1]!.sent.at(-1)).toEqual({ subscribe: ['10.96.0.1:80'] });
  });

  it('stays on the old stream where the new one fails, and tries again', () => {
    const { client, clock, streams, stream } = connected();
    down(stream, { reconnect: true });
    clock.pass(0);
    streams[1]!.handlers.onEnd('refused');
    expect(client.connected()).toBe(true);
    clock.pass(1000);
    expect(streams).toHaveLength(3);
  });

  it('reports its counters at once and then at the interval', () => {
    const { clock, stream } = connected();
    const reports = () => stream.sent.filter((message) => message.statistics !== undefined).length;
    expect(reports()).toBe(1);
    clock.pass(5000);
    expect(reports()).toBe(2);
  });

  it('says again on a new stream that the pod is going', () => {
    const { client, clock, streams, stream } = connected();
    client.draining();
    expect(stream.sent.at(-1)).toEqual({ draining: true });
    stream.handlers.onEnd('gone');
    clock.pass(1000);
    streams[1]!.handlers.onOpen();
    expect(streams[1]!.sent).toContainEqual({ draining: true });
  });

  it.each(['{', '{"push":{"nonce":1}}', '{}', '[]'])('ends a stream that sends %s', (text) => {
    const { applied, stream } = connected();
    stream.handlers.onMessage(text);
    expect(stream.closed).toBe(true);
    expect(applied).toEqual([]);
  });

  it('does not connect again in haste to an operator that breaks off at once', () => {
    const { client, clock, holder, streams } = world();
    holder.swap(identity('A1'));
    client.start();
    for (let round = 0; round < 8; round += 1) {
      streams.at(-1)!.handlers.onOpen();
      streams.at(-1)!.handlers.onEnd('broken');
      clock.pass(10_000);
    }
    streams.at(-1)!.handlers.onOpen();
    streams.at(-1)!.handlers.onEnd('broken');
    expect(clock.waiting()[0]).toBeGreaterThan(1000);
  });

  it('reports a last time and ends when it is stopped', () => {
    const { client, clock, streams, stream } = connected();
    client.stop();
    expect(stream.sent.at(-1)).toHaveProperty('statistics');
    expect(stream.closed).toBe(true);
    stream.handlers.onEnd('closed');
    clock.pass(60_000);
    expect(streams).toHaveLength(1);
  });
});

describe('the discovery client of a sidecar with several threads', () => {
  const push: Push = { nonce: 'n1', resources: [], removed: ['Destination/a'] };
  const bad = (name: string): ResourceError => ({
    key: `Destination/${name}`,
    path: '/x',
    message: 'bad',
  });

  function acks(stream: FakeStream) {
    return stream.sent.flatMap(({ ack }) => ack ?? []);
  }

  it('puts a push in force here and acknowledges it when all others have it', () => {
    let then: (refused: ResourceError[]) => void = () => {};
    const applyElsewhere: DiscoveryDeps['applyElsewhere'] = (_push, whenDone) => (then = whenDone);
    const { stream, applied } = connected([], { applyElsewhere });
    down(stream, { push });
    expect(applied).toEqual([]);
    expect(acks(stream)).toEqual([]);
    then([]);
    expect(applied).toHaveLength(1);
    expect(acks(stream)).toEqual([{ nonce: 'n1', errors: [] }]);
  });

  it('says once what here or elsewhere was refused', () => {
    const applyElsewhere: DiscoveryDeps['applyElsewhere'] = (_push, then) =>
      then([bad('both'), bad('elsewhere')]);
    const { stream } = connected([bad('both')], { applyElsewhere });
    down(stream, { push });
    expect(acks(stream)).toEqual([{ nonce: 'n1', errors: [bad('both'), bad('elsewhere')] }]);
  });

  it('reports when all have said what they counted, and tells them of its stream', () => {
    let then = (): void => {};
    let changes = 0;
    const { stream, client } = connected([], {
      gather: (whenDone) => (then = whenDone),
      onConnection: () => (changes += 1),
    });
    const reports = () => stream.sent.filter(({ statistics }) => statistics !== undefined);
    expect(changes).toBe(1);
    expect(reports()).toHaveLength(0);
    then();
    expect(reports()).toHaveLength(1);
    stream.handlers.onEnd('away');
    expect(changes).toBe(2);
    expect(client.connected()).toBe(false);
    then();
    expect(reports()).toHaveLength(1);
  });
});
