// What gRPC asks of a proxy beyond forwarding (gRPC over HTTP/2, "Errors" and "Status codes"): deadlines,
// cancellation, resets, GOAWAY and stream limits on the way through two sidecars, and what the sidecars say
// themselves.
import { constants, type ServerHttp2Stream } from 'node:http2';
import { afterEach, describe, expect, it } from '@jest/globals';
import { encodeMessage } from '../apps/grpc-frames.ts';
import { startPair, until, type MeshPair } from '../support/mesh-pair.ts';
import { endpoints, route, workload } from '../support/sidecar.ts';
import type { WorkloadResource } from '../../proxy/api/resources.ts';
import {
  echo,
  GrpcClient,
  messageOf,
  respond,
  startGrpcApp,
  statusOf,
  type GrpcApp,
  type GrpcHandler,
} from './grpc-peers.ts';
import { grpcTimeoutMs } from '../../proxy/exchange/grpc-timeout.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Mesh extends MeshPair {
  app: GrpcApp;
  client: GrpcClient;
}

async function mesh(
  handler: GrpcHandler,
  options: { maxStreams?: number; settings?: Partial<WorkloadResource> } = {},
): Promise<Mesh> {
  const settings =
    options.maxStreams === undefined ? {} : { maxConcurrentStreams: options.maxStreams };
  const app = await startGrpcApp(handler, { settings });
  const pair = await startPair(app.address, options.settings);
  const client = new GrpcClient(pair.caller.outbound.address.port);
  closers.push(() => {
    client.close();
    pair.close();
    app.close();
  });
  return { ...pair, app, client };
}

describe('deadlines and cancellation', () => {
  it('reach the app with what is left of them', async () => {
    let timeout = '';
    const { client } = await mesh((stream, headers) => {
      timeout = String(headers['grpc-timeout']);
      echo(stream);
    });
    expect(statusOf(await client.unary('x', { 'grpc-timeout': '3600S' }))).toBe('0');
    const leftMs = grpcTimeoutMs(['grpc-timeout', timeout])!;
    expect(leftMs).toBeLessThanOrEqual(3_600_000);
    expect(leftMs).toBeGreaterThan(3_500_000);
  });

  it('ends the call at the app when the client cancels, in whatever state it is', async () => {
    const codes: number[] = [];
    let arrived = 0;
    const { client, callee } = await mesh((stream, headers) => {
      arrived += 1;
      stream.on('close', () => codes.push(stream.rstCode ?? -1));
      if (headers['x-answer'] === 'begun') {
        respond(stream);
        stream.write(encodeMessage('one'));
      }
    });
    const calls = ['none', 'begun'].map((state) => client.call({ 'x-answer': state }));
    await until('both are at the app', () => arrived === 2);
    await until('one is being answered', () => calls[1]!.answer.messages.length === 1);
    for (const { stream } of calls) stream.close(constants.NGHTTP2_CANCEL);
    await until('both were cancelled', () => codes.length === 2);
    expect(codes).toEqual([constants.NGHTTP2_CANCEL, constants.NGHTTP2_CANCEL]);
    expect(callee.inbound.inFlight()).toBe(0);
  });

  it('ends the calls of a client that is gone', async () => {
    const codes: number[] = [];
    let arrived = 0;
    const { client } = await mesh((stream) => {
      arrived += 1;
      stream.on('close', () => codes.push(stream.rstCode ?? -1));
    });
    for (let i = 0; i < 3; i += 1) client.call().send('x');
    await until('all are at the app', () => arrived === 3);
    client.close();
    await until('all ended', () => codes.length === 3);
    expect(new Set(codes)).toEqual(new Set([constants.NGHTTP2_CANCEL]));
  });
});

describe('status and trailers', () => {
  it('come as the app sent them', async () => {
    const sent = {
      'grpc-status': '9',
      'grpc-message': 'caf%C3%A9 100%25',
      'grpc-status-details-bin': 'CAkSBWhlbGxv',
      'x-twice': 'b, a',
    };
    const { client } = await mesh((stream) => echo(stream, sent));
    const answer = await client.unary('x');
    expect(answer.trailersOnly).toBe(false);
    expect(answer.trailers).toMatchObject(sent);
    expect(answer.messages).toEqual(['x']);
  });

  it('stay one block where the app sent nothing else', async () => {
    const { client } = await mesh((stream) => {
      const fields = { 'content-type': 'application/grpc', 'grpc-status': '5' };
      stream.respond({ ':status': 200, ...fields, 'grpc-message': 'gone' }, { endStream: true });
    });
    const answer = await client.unary('x');
    expect(answer.trailersOnly).toBe(true);
    expect(answer.headers).toMatchObject({ 'grpc-status': '5', 'grpc-message': 'gone' });
  });

  it('stay two blocks where the app sent a head first', async () => {
    const { client } = await mesh((stream) => {
      respond(stream, { 'grpc-status': '5' });
      stream.end();
    });
    const answer = await client.unary('x');
    expect(answer.trailersOnly).toBe(false);
    expect([answer.headers['grpc-status'], answer.trailers['grpc-status']]).toEqual([
      undefined,
      '5',
    ]);
  });
});

describe('what the sidecars say themselves', () => {
  it('is a status with HTTP 200, and words that need no decoding where they are ASCII', async () => {
    const pair = await mesh(() => undefined);
    pair.route({ routes: [route({ name: 'café 100%', timeoutMs: 30 })] });
    const answer = await pair.client.unary('x');
    expect(answer.headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '4',
      'tsmesh-error': 'request-timeout',
    });
    expect(answer.trailersOnly).toBe(true);
    expect(answer.headers['grpc-message']).toContain('caf%C3%A9 100%25: 30 ms (the timeout is');
    expect(messageOf(answer)).toContain('café 100%: 30 ms');
  });

  it('survives a name that is not Unicode', async () => {
    const pair = await mesh(() => undefined);
    pair.route({ routes: [route({ name: 'half \ud800', timeoutMs: 30 })] });
    expect(messageOf(await pair.client.unary('x'))).toContain('half \ufffd');
  });

  it('is UNAVAILABLE where no app listens', async () => {
    const { client, app } = await mesh(() => undefined);
    app.close();
    const answer = await client.unary('x');
    expect([statusOf(answer), answer.headers['tsmesh-error']]).toEqual(['14', 'app-unreachable']);
  });

  it('is PERMISSION_DENIED for plaintext under STRICT', async () => {
    const { callee } = await mesh(() => undefined);
    const stranger = new GrpcClient(callee.inbound.address.port);
    closers.push(() => stranger.close());
    const answer = await stranger.unary('x');
    expect(statusOf(answer)).toBe('7');
    expect(answer.headers['tsmesh-denied-by']).toBe('Mesh default; reason=mtls-required');
  });

  it('is UNIMPLEMENTED where no route matches', async () => {
    const pair = await mesh(() => undefined);
    pair.route({ routes: [] });
    expect(statusOf(await pair.client.unary('x'))).toBe('12');
  });
});

describe('an app that resets a call', () => {
  /** As a client without a mesh would read it (gRPC over HTTP/2, "Errors"). */
  const statuses = [
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR, '13'],
    ['PROTOCOL_ERROR', constants.NGHTTP2_PROTOCOL_ERROR, '13'],
    ['INTERNAL_ERROR', constants.NGHTTP2_INTERNAL_ERROR, '13'],
    ['FLOW_CONTROL_ERROR', constants.NGHTTP2_FLOW_CONTROL_ERROR, '13'],
    ['FRAME_SIZE_ERROR', constants.NGHTTP2_FRAME_SIZE_ERROR, '13'],
    ['REFUSED_STREAM', constants.NGHTTP2_REFUSED_STREAM, '14'],
    ['CANCEL', constants.NGHTTP2_CANCEL, '1'],
    ['COMPRESSION_ERROR', constants.NGHTTP2_COMPRESSION_ERROR, '13'],
    ['CONNECT_ERROR', constants.NGHTTP2_CONNECT_ERROR, '13'],
    ['ENHANCE_YOUR_CALM', constants.NGHTTP2_ENHANCE_YOUR_CALM, '8'],
    ['INADEQUATE_SECURITY', constants.NGHTTP2_INADEQUATE_SECURITY, '7'],
  ] as const;

  it.each(statuses)('before its answer by %s', async (_, code, status) => {
    const { client } = await mesh((stream) => stream.close(code));
    expect(statusOf(await client.unary('x'))).toBe(status);
  });

  it.each(statuses.filter(([name]) => name !== 'NO_ERROR'))(
    'within its answer by %s: what came before arrives, then the status',
    async (_, code, status) => {
      let called: (() => void) | null = null;
      const { client } = await mesh((stream) => {
        respond(stream);
        stream.write(encodeMessage('one'));
        called = () => stream.close(code);
      });
      const call = client.call();
      await until('the message arrived', () => call.answer.messages.length === 1);
      called!();
      const answer = await call.done;
      expect([answer.messages, statusOf(answer), answer.resetCode]).toEqual([['one'], status, 0]);
      expect(answer.trailers['tsmesh-error']).toBeDefined();
    },
  );

  it.each([false, true])(
    'by CANCEL at the deadline, is DEADLINE_EXCEEDED (answered: %s)',
    async (answered) => {
      const { client } = await mesh((stream, headers) => {
        if (answered) respond(stream);
        // As grpc-go's server does when the time is over; the last two it cancels at once.
        const leftMs = grpcTimeoutMs(['grpc-timeout', String(headers['grpc-timeout'])]) ?? 0;
        const afterMs = leftMs <= 50 ? leftMs : 0;
        setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), afterMs);
      });
      expect(statusOf(await client.unary('x', { 'grpc-timeout': '50000u' }))).toBe('4');
      expect(statusOf(await client.unary('x', { 'grpc-timeout': '1M' }))).toBe('1');
      expect(statusOf(await client.unary('x', { 'grpc-timeout': 'soon' }))).toBe('1');
    },
  );

  it('and a connection that breaks within an answer, is UNAVAILABLE', async () => {
    const { client, app } = await mesh((stream) => {
      respond(stream);
      stream.write(encodeMessage('one'));
    });
    const call = client.call();
    await until('the message arrived', () => call.answer.messages.length === 1);
    for (const session of app.sessions) session.destroy();
    const answer = await call.done;
    expect([statusOf(answer), answer.resetCode]).toEqual(['14', 0]);
    expect(messageOf(answer)).toContain('ended the connection before its answer was complete');
  });

  it('and a timeout within an answer, is DEADLINE_EXCEEDED', async () => {
    let reset = -1;
    const pair = await mesh((stream) => {
      respond(stream);
      stream.write(encodeMessage('one'));
      stream.on('close', () => (reset = stream.rstCode ?? -1));
    });
    pair.route({ routes: [route({ timeoutMs: 100 })] });
    const answer = await pair.client.unary('x');
    expect([answer.messages, statusOf(answer)]).toEqual([['one'], '4']);
    await until('the app was told', () => reset === constants.NGHTTP2_CANCEL);
  });
});

const plain: GrpcHandler = (stream) => echo(stream);

describe('one connection of a client', () => {
  it('is spread over three pods, request by request', async () => {
    const meshes = [await mesh(plain), await mesh(plain), await mesh(plain)] as const;
    const [first, ...others] = meshes;
    for (const { callee } of others) callee.identity.swap(first.issue('callee'));
    const identity = first.callee.identity.current()!.spiffeId;
    first.route(
      {},
      endpoints(
        meshes.map(({ callee }) => callee.inbound.address),
        identity,
      ),
    );
    for (let round = 0; round < 30; round += 1) {
      const answers = await Promise.all([1, 2, 3, 4].map((i) => first.client.unary(`${i}`)));
      expect(answers.map(statusOf)).toEqual(['0', '0', '0', '0']);
    }
    const counts = meshes.map(({ callee }) => callee.counters.totals('inbound').requests);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(120);
    for (const count of counts) expect(count).toBeGreaterThan(5);
  });

  it('outlives GOAWAY of the app: the stream ends in order, others go to a new connection', async () => {
    const streams: ServerHttp2Stream[] = [];
    const connections = new Set<unknown>();
    const { client } = await mesh((stream, headers) => {
      connections.add(stream.session);
      if (headers['x-kind'] !== 'long') return echo(stream);
      streams.push(stream);
      respond(stream);
      stream.write(encodeMessage('before'));
    });
    const long = client.call({ 'x-kind': 'long' });
    await until('it is being answered', () => long.answer.messages.length === 1);
    const [stream] = streams;
    stream!.session!.goaway(constants.NGHTTP2_NO_ERROR, stream!.id ?? 0);
    const others = await Promise.all([1, 2, 3].map((i) => client.unary(`${i}`)));
    expect(others.map(statusOf)).toEqual(['0', '0', '0']);
    stream!.write(encodeMessage('after'));
    stream!.end();
    const answer = await long.done;
    expect([answer.messages, statusOf(answer)]).toEqual([['before', 'after'], '0']);
    expect(connections.size).toBe(2);
  });

  it.each([
    [1, 60],
    [1, 200],
    [10, 500],
  ])('waits where the app takes %d streams at a time: %d calls at once', async (limit, count) => {
    const { client, app } = await mesh((stream) => echo(stream), { maxStreams: limit });
    const answers = await Promise.all(
      Array.from({ length: count }, (_, i) => client.unary(`${i}`)),
    );
    expect(answers.map(({ messages }) => messages[0])).toEqual(answers.map((_, i) => `${i}`));
    expect(new Set(answers.map(statusOf))).toEqual(new Set(['0']));
    expect(app.most.streams).toBeLessThanOrEqual(limit);
  });
});

describe('many streams at once', () => {
  it('take further connections between the sidecars where one has as many as it may', async () => {
    const held: ServerHttp2Stream[] = [];
    const { client, caller } = await mesh((stream) => void held.push(stream));
    const second = new GrpcClient(caller.outbound.address.port);
    closers.push(() => second.close());
    const calls = [client, second].flatMap((one) => Array.from({ length: 600 }, () => one.call()));
    await until('all are at the app', () => held.length === calls.length);
    expect(caller.pool.size).toBe(2);
    for (const stream of held) {
      respond(stream);
      stream.end();
    }
    const answers = await Promise.all(calls.map(({ done }) => done));
    expect(new Set(answers.map(statusOf))).toEqual(new Set(['0']));
  });
});

describe('time', () => {
  it('ends no stream by itself: three silent hours within an answer', async () => {
    const streams: ServerHttp2Stream[] = [];
    const pair = await mesh((stream, headers) => {
      if (headers[':path'] === '/echo') return echo(stream);
      streams.push(stream);
      respond(stream);
      stream.write(encodeMessage('before'));
    });
    const matches = [{ path: { exact: '/bounded' } }];
    const bounded = route({ matches, timeoutMs: 2 * 3_600_000 });
    pair.route({ routes: [bounded, route()] });
    const calls = ['/bounded', '/long'].map((path) => pair.client.call({ ':path': path }));
    calls[0]!.stream.end();
    await until('both are being answered', () =>
      calls.every(({ answer }) => answer.messages.length === 1),
    );
    for (let minute = 0; minute < 180; minute += 1) {
      for (const sidecar of [pair.caller, pair.callee]) sidecar.advance(60_000);
      // Gives PINGs between the sidecars the time to be answered.
      const answer = await pair.client.unary('x', { ':path': '/echo' });
      expect(statusOf(answer)).toBe('0');
    }
    // The hours have passed for what has a limit.
    expect(statusOf(await calls[0]!.done)).toBe('4');
    streams[1]!.write(encodeMessage('after'));
    streams[1]!.end();
    const answer = await calls[1]!.done;
    expect([answer.messages, statusOf(answer)]).toEqual([['before', 'after'], '0']);
  });
});

describe('calls that are given up by the hundred', () => {
  it('by their client, as deadlines do on a slow app, leave its other calls alone', async () => {
    let waiting = 0;
    let held: ServerHttp2Stream | null = null;
    const { client, app } = await mesh((stream, headers) => {
      const path = headers[':path'];
      if (path === '/echo') return echo(stream);
      if (path === '/held') held = stream;
      else waiting += 1;
    });
    const other = client.call({ ':path': '/held' });
    other.stream.end();
    for (let round = 1; round <= 5; round += 1) {
      const calls = Array.from({ length: 400 }, () => client.call());
      await until('all are at the app', () => waiting === 400 * round);
      for (const { stream } of calls) stream.close(constants.NGHTTP2_CANCEL);
      await Promise.all(calls.map(({ done }) => done));
    }
    expect(statusOf(await client.unary('x', { ':path': '/echo' }))).toBe('0');
    respond(held!);
    held!.end();
    expect(statusOf(await other.done)).toBe('0');
    expect(app.sessions.size).toBeGreaterThan(0);
  });

  it('by their app leave its other calls alone', async () => {
    let held: ServerHttp2Stream | null = null;
    const { client } = await mesh((stream, headers) => {
      if (headers[':path'] === '/held') held = stream;
      else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    });
    const other = client.call({ ':path': '/held' });
    other.stream.end();
    await until('it is at the app', () => held !== null);
    for (let round = 0; round < 5; round += 1) {
      const answers = await Promise.all(Array.from({ length: 400 }, () => client.unary('x')));
      expect(new Set(answers.map(statusOf))).toEqual(new Set(['13']));
    }
    respond(held!);
    held!.end();
    expect(statusOf(await other.done)).toBe('0');
  });
});

describe('declared ports', () => {
  it('carry gRPC as undeclared ones do', async () => {
    const declared = workload({ mtls: 'STRICT', protocol: 'http2' });
    const pair = await mesh((stream) => echo(stream), { settings: declared });
    pair.route({ protocol: 'http2' });
    const answer = await pair.client.unary('x');
    expect([answer.messages, statusOf(answer)]).toEqual([['x'], '0']);
  });
});
