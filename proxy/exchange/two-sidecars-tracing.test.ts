// Traces through two sidecars: whose span is whose parent, what is decided where, what stands in a span, and what becomes of
// traffic while nobody takes them. Real sockets.
import http from 'node:http';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import {
  startOtlpReceiver,
  type OtlpReceiver,
  type ReceivedSpan,
} from '../../test/support/otlp-receiver.ts';
import { destination, route, workload } from '../../test/support/sidecar.ts';
import type { TracingSettings } from '../api/tracing.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const parent = `00-${traceId}-${spanId}-01`;

interface World {
  pair: MeshPair;
  receiver: OtlpReceiver;
  /** What the app got, newest last. */
  heard: http.IncomingHttpHeaders[];
  ask: (headers?: Record<string, string>, path?: string) => ReturnType<typeof call>;
  /** Once there are so many, by kind. */
  spans: (count: number) => Promise<{ client?: ReceivedSpan; server?: ReceivedSpan }>;
  settings: (over?: Partial<TracingSettings>) => TracingSettings;
}

async function worldOf(over: Partial<TracingSettings> = {}): Promise<World> {
  const heard: http.IncomingHttpHeaders[] = [];
  const app = http.createServer((request, response) => {
    heard.push(request.headers);
    response.statusCode = request.url === '/wrong' ? 500 : 200;
    response.end('app');
  });
  const receiver = await startOtlpReceiver();
  const settings = (more: Partial<TracingSettings> = {}): TracingSettings => ({
    collector: { protocol: 'http', endpoint: receiver.endpoint },
    sampling: 100,
    samplingOfPorts: {},
    resource: { 'service.name': 'test' },
    ...over,
    ...more,
  });
  const pair = await startPair(await listenOn(app), { tracing: settings() });
  pair.caller.registry.value = 'none';
  pair.caller.apply({ ...workload(), tracing: settings() });
  closers.push(() => {
    pair.close();
    receiver.close();
    app.close();
    app.closeAllConnections();
  });
  const { port } = pair.caller.outbound.address;
  return {
    pair,
    receiver,
    heard,
    settings,
    ask: (headers = {}, path = '/a?secret=1') => call({ port, path, headers }),
    async spans(count) {
      await until('spans at the receiver', () => receiver.spans.length >= count);
      const [client, server] = (['client', 'server'] as const).map((kind) =>
        receiver.spans.find((one) => one.kind === kind),
      );
      return {
        ...(client === undefined ? {} : { client }),
        ...(server === undefined ? {} : { server }),
      };
    },
  };
}

describe('a trace', () => {
  it('goes from the app over both sidecars to the next app', async () => {
    const { ask, spans, heard } = await worldOf();
    await ask({ traceparent: parent, tracestate: 'vendor=1' });
    const { client, server } = await spans(2);
    expect(client).toMatchObject({ traceId, parentSpanId: spanId, traceState: 'vendor=1' });
    expect(server).toMatchObject({ traceId, parentSpanId: client!.spanId });
    expect(heard[0]).toMatchObject({
      traceparent: `00-${traceId}-${server!.spanId}-01`,
      tracestate: 'vendor=1',
    });
    // Both clocks are this machine's: the callee's span lies within the caller's.
    expect(server!.startMs).toBeGreaterThanOrEqual(client!.startMs - 1);
    expect(server!.endMs).toBeLessThanOrEqual(client!.endMs + 1);
  });

  it('begins at the caller where nobody began it', async () => {
    const { ask, spans, heard } = await worldOf();
    await ask();
    const { client, server } = await spans(2);
    expect(client!.parentSpanId).toBe('');
    expect(server).toMatchObject({ traceId: client!.traceId, parentSpanId: client!.spanId });
    expect(heard[0]!.traceparent).toBe(`00-${client!.traceId}-${server!.spanId}-01`);
  });

  it('that came as B3 goes on as W3C, and as B3 for an app that knows nothing else', async () => {
    const { ask, spans, heard } = await worldOf({ sampling: 0 });
    await ask({ 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '1' });
    const { client, server } = await spans(2);
    expect(client).toMatchObject({ traceId, parentSpanId: spanId });
    expect(heard[0]).toMatchObject({
      traceparent: `00-${traceId}-${server!.spanId}-01`,
      'x-b3-traceid': traceId,
      'x-b3-spanid': server!.spanId,
      'x-b3-sampled': '1',
    });
  });

  it('is decided once: what the caller does not sample, nobody samples', async () => {
    const { ask, heard, receiver, pair, settings } = await worldOf();
    await ask({ traceparent: `00-${traceId}-${spanId}-00` });
    expect(heard[0]!.traceparent).toBe(`00-${traceId}-${spanId}-00`);
    // One that begins at a caller with another share than the callee's.
    pair.caller.apply({ ...workload(), tracing: settings({ sampling: 0 }) });
    await ask();
    expect(heard[1]!.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    // What comes after them comes to the receiver after them.
    await ask({ traceparent: parent });
    await until('spans', () => receiver.spans.length >= 2);
    expect(receiver.spans.map((one) => one.traceId)).toEqual([traceId, traceId]);
  });

  it('is sampled as the policy of a destination says, or of a port', async () => {
    const { ask, spans, pair, receiver, settings } = await worldOf({ sampling: 0 });
    pair.caller.apply(destination({ traceSampling: 100 }));
    await ask();
    await spans(2);
    expect(receiver.spans).toHaveLength(2);
    const { port } = pair.callee.target.inbound!;
    pair.callee.apply({
      ...workload(),
      tracing: settings({ samplingOfPorts: { [port]: 100 } }),
    });
    await call({ port: pair.callee.inbound.address.port });
    await until('a span of the callee', () => receiver.spans.length >= 3);
    expect(receiver.spans[2]).toMatchObject({ kind: 'server', parentSpanId: '' });
  });

  it('costs a request nothing when it is off: fields stay as they are', async () => {
    const { ask, heard, pair } = await worldOf();
    pair.caller.apply(workload());
    pair.callee.apply(workload());
    await ask({ b3: '0', 'x-b3-spanid': 'as it came' });
    expect(heard[0]).toMatchObject({ b3: '0', 'x-b3-spanid': 'as it came' });
    expect(heard[0]).not.toHaveProperty('traceparent');
  });
});

describe('a span', () => {
  it("holds what OpenTelemetry's conventions for HTTP ask for, and no query", async () => {
    const { ask, spans, pair } = await worldOf();
    await ask({ host: 'cart.shop', 'user-agent': 'test/1' });
    const { client, server } = await spans(2);
    const both = {
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'url.path': '/a',
      'server.address': 'cart.shop',
      'server.port': 80,
      'network.protocol.name': 'http',
      'user_agent.original': 'test/1',
      'http.response.status_code': 200,
      'http.request.body.size': 0,
      'http.response.body.size': 3,
    };
    const peer = pair.callee.inbound.address;
    expect(client).toMatchObject({
      name: 'GET',
      failed: false,
      resource: { 'service.name': 'test' },
    });
    expect(client!.attributes).toMatchObject({
      ...both,
      'url.full': 'http://cart.shop/a',
      'network.protocol.version': '1.1',
      'network.peer.address': peer.address,
      'network.peer.port': peer.port,
      'tsmesh.route': 'default',
      'tsmesh.peer.identity': 'spiffe://cluster.local/ns/shop/sa/callee',
    });
    expect(server!.attributes).toMatchObject({
      ...both,
      'network.protocol.version': '2',
      'client.address': '127.0.0.1',
      'tsmesh.peer.identity': 'spiffe://cluster.local/ns/shop/sa/caller',
    });
    expect(JSON.stringify([client, server])).not.toContain('secret');
  });

  it('says what failed, and to whom it is an error', async () => {
    const { ask, spans, pair, receiver } = await worldOf();
    await ask({}, '/wrong');
    const { client, server } = await spans(2);
    expect([client!.failed, server!.failed]).toEqual([true, true]);
    expect(server!.attributes).toMatchObject({
      'http.response.status_code': 500,
      'error.type': '500',
    });
    receiver.spans.length = 0;
    pair.route({ routes: [route({ matches: [{ path: { exact: '/none' } }] })] });
    expect((await ask()).status).toBe(404);
    const refused = await spans(1);
    expect(refused.client).toMatchObject({
      failed: true,
      attributes: {
        'error.type': 'no-route',
        'tsmesh.flag': 'NR',
        'http.response.status_code': 404,
      },
    });
  });

  it('has a name that nobody can make up', async () => {
    const { spans, pair } = await worldOf();
    await call({ port: pair.caller.outbound.address.port, method: 'PROPFIND', path: '/x' });
    const { client } = await spans(2);
    expect(client).toMatchObject({
      name: 'HTTP',
      attributes: { 'http.request.method': '_OTHER', 'http.request.method_original': 'PROPFIND' },
    });
  });
});

describe('a collector', () => {
  it('that takes nothing leaves traffic alone, and it is said once', async () => {
    const { ask, receiver, pair } = await worldOf();
    receiver.status = 400;
    expect((await ask()).status).toBe(200);
    const lost = () =>
      pair.caller.told.filter(({ message }) => message.startsWith('spans are lost'));
    await until('the words', () => lost().length === 1);
    receiver.status = 200;
    expect((await ask()).status).toBe(200);
    await until('it takes them again', () => receiver.spans.length >= 2);
    await until('words of that', () =>
      pair.caller.told.some(({ message }) => message === 'the collector takes spans again'),
    );
    expect(lost()).toHaveLength(1);
  });

  it('that is busy gets them again', async () => {
    const { ask, receiver } = await worldOf();
    receiver.status = 503;
    expect((await ask()).status).toBe(200);
    await until('a first try of both', () => receiver.requests.length >= 2);
    receiver.status = 200;
    await until('both spans', () => receiver.spans.length === 2);
  });

  it.each(['gone', 'silent'])('that is %s leaves traffic alone', async (what) => {
    const { ask, pair, settings } = await worldOf();
    const silent = createServer(() => undefined);
    const { port } = await listenOn(silent);
    if (what === 'gone') silent.close();
    else closers.push(() => silent.close());
    const collector = { protocol: 'grpc', endpoint: `http://127.0.0.1:${port}` } as const;
    pair.caller.apply({ ...workload(), tracing: settings({ collector }) });
    pair.callee.apply({ ...workload({ mtls: 'STRICT' }), tracing: settings({ collector }) });
    const answers = await Promise.all(Array.from({ length: 700 }, () => ask()));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(700);
    pair.caller.advance(1_000);
    expect((await ask()).status).toBe(200);
  });

  it('is not asked to trace what brings it spans', async () => {
    const { ask, spans, receiver } = await worldOf();
    await ask();
    await spans(2);
    expect(receiver.requests[0]!.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      traceparent: expect.stringMatching(/-00$/),
    });
    expect(receiver.requests[0]!.url).toBe('/v1/traces');
  });
});
