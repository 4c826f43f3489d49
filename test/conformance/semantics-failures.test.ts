// What is refused and what fails, along every way through the mesh: framing in doubt, bounds, slow clients, apps
// that answer nonsense or nothing, and what is tried again.

import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { listenOn, startPair, until, type MeshPair } from '../support/mesh-pair.ts';
import { destination, endpoints, route, workload } from '../support/sidecar.ts';
import { openPath, paths, type OpenPath } from './semantics-paths.ts';
import { connectTo, startRawApp, value } from './semantics-peers.ts';
import type { Message, RawApp, Wire } from './semantics-peers.ts';

let app: RawApp;
let path: OpenPath;
const wires: Wire[] = [];
const closers: (() => void)[] = [];

function open(port = path.port): Wire {
  const wire = connectTo(port);
  wires.push(wire);
  return wire;
}

async function ask(text: string, port = path.port): Promise<{ answer: Message; client: Wire }> {
  const client = open(port);
  client.send(text);
  return { answer: await client.message(), client };
}

const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const statusOf = (answer: Message) => Number(answer.line.slice(9, 12));

afterEach(() => {
  for (const wire of wires.splice(0)) wire.socket.destroy();
  for (const close of closers.splice(0)) close();
});

describe.each(paths)('HTTP/1, %s', (way) => {
  beforeEach(async () => {
    app = await startRawApp();
    path = await openPath(way, app.address);
    closers.push(() => {
      path.close();
      app.close();
    });
  });

  describe('a request in doubt', () => {
    const host = 'host: a\r\n';
    const post = (lines: string) => `POST / HTTP/1.1\r\n${host}${lines}\r\n`;
    it.each([
      ['two lengths that differ', post('content-length: 3\r\ncontent-length: 4\r\n') + 'abcd', 400],
      [
        'a length and chunks',
        post('content-length: 3\r\ntransfer-encoding: chunked\r\n') + 'abc',
        400,
      ],
      ['a list of lengths', post('content-length: 3, 3\r\n') + 'abc', 400],
      ['a signed length', post('content-length: +3\r\n') + 'abc', 400],
      ['chunked twice', post('transfer-encoding: chunked, chunked\r\n'), 400],
      ['chunked not last', post('transfer-encoding: chunked, gzip\r\n'), 400],
      ['another coding', post('transfer-encoding: gzip, chunked\r\n'), 501],
      ['chunks in HTTP/1.0', `POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n`, 400],
      ['obs-fold', `GET / HTTP/1.1\r\n${host}x: a\r\n b\r\n\r\n`, 400],
      ['obs-fold at the start', `GET / HTTP/1.1\r\n x: a\r\n${host}\r\n`, 400],
      ['white space before the colon', `GET / HTTP/1.1\r\n${host}x : a\r\n\r\n`, 400],
      ['a bare LF', `GET / HTTP/1.1\n${host}\r\n`, 400],
      ['a bare CR in a value', `GET / HTTP/1.1\r\n${host}x: a\rb\r\n\r\n`, 400],
      ['NUL in a value', `GET / HTTP/1.1\r\n${host}x: a\0b\r\n\r\n`, 400],
      ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
      ['two Hosts', `GET / HTTP/1.1\r\n${host}${host}\r\n`, 400],
      ['a Host that is none', 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n', 400],
      ['a fragment in the target', `GET /a#b HTTP/1.1\r\n${host}\r\n`, 400],
      ['a target that is not ASCII', `GET /\xe4 HTTP/1.1\r\n${host}\r\n`, 400],
      ['an asterisk for GET', `GET * HTTP/1.1\r\n${host}\r\n`, 400],
      ['CONNECT without a port', `CONNECT a HTTP/1.1\r\n${host}\r\n`, 400],
      ['CONNECT with a body', `CONNECT a:1 HTTP/1.1\r\n${host}content-length: 1\r\n\r\nx`, 400],
    ])(
      '(%s) is answered, the connection closed, and the app hears nothing',
      async (_, text, status) => {
        const { answer, client } = await ask(`${text}GET /smuggled HTTP/1.1\r\n${host}\r\n`);
        expect([statusOf(answer), value(answer, 'connection')]).toEqual([status, 'close']);
        expect(answer.body).toMatch(/RFC 9\d\d\d|transfer coding/);
        await client.end();
        expect(client.rest).toBe('');
        expect(app.requests).toEqual([]);
      },
    );

    it.each([
      ['a chunk size that is none', 'xyz\r\n'],
      ['a chunk longer than it says', '1\r\nab\r\n'],
      ['a chunk line that ends in LF', '1\na\r\n'],
      ['a negative size', '-1\r\n'],
      ['a size beyond bounds', 'fffffffffffffff\r\n'],
      ['a trailer that frames', '0\r\ncontent-length: 3\r\n\r\n'],
    ])('(%s) does not reach the app as a whole one', async (_, rest) => {
      const client = open();
      client.send(
        `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n${rest}`,
      );
      const answer = await client.message();
      expect([statusOf(answer), value(answer, 'connection')]).toEqual([400, 'close']);
      expect(app.requests).toEqual([]);
    });
  });

  describe('bounds', () => {
    it.each([
      ['a target', `GET /${'x'.repeat(70_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 414],
      ['a field', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(70_000)}\r\n\r\n`, 431],
      ['fields in number', `GET / HTTP/1.1\r\nhost: a\r\n${'x: 1\r\n'.repeat(300)}\r\n`, 431],
      ['a head that never ends', `GET / HTTP/1.1\r\n${'x: 1\r\n'.repeat(20_000)}`, 431],
    ])('of %s are answered', async (_, text, status) => {
      const { answer, client } = await ask(text);
      expect([statusOf(answer), value(answer, 'connection')]).toEqual([status, 'close']);
      await client.end();
      expect(app.requests).toEqual([]);
    });

    it('are the same on each hop: what the first takes, the last gets', async () => {
      const lines = Array.from({ length: 250 }, (_, i) => `x-${i}: ${'v'.repeat(250)}\r\n`).join(
        '',
      );
      const text = `GET / HTTP/1.1\r\nhost: a\r\n${lines}\r\n`;
      expect(text.length).toBeGreaterThan(64_000);
      app.serve = (request, wire) =>
        wire.send(`HTTP/1.1 200 OK\r\ncontent-length: 0\r\n${lines}\r\n${request.body}`);
      const { answer } = await ask(text);
      expect([statusOf(answer), answer.fields.length]).toEqual([200, 251]);
      expect(app.requests[0]!.fields.filter(([name]) => /^x-\d/.test(name))).toHaveLength(250);
    });

    it('of time end a head that dribbles in with 408', async () => {
      const client = open();
      client.send('GET / HTTP/1.1\r\nhost: a\r\nx-slow: ');
      for (let i = 0; i < 12 && client.text === ''; i += 1) {
        client.send('x');
        await new Promise((resolve) => setTimeout(resolve, 20));
        for (const one of path.sidecars) one.advance(1_000);
      }
      const answer = await client.message();
      expect([statusOf(answer), value(answer, 'connection')]).toEqual([408, 'close']);
      await client.end();
    });

    it('of time do not end a body that dribbles in', async () => {
      const client = open();
      client.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n');
      for (const letter of 'slow!') {
        client.send(letter);
        await until('it arrived', () => app.wires[0]?.text.endsWith(letter) === true);
        for (const one of path.sidecars) one.advance(20_000);
      }
      expect((await client.message()).body).toBe('ok');
    });

    it('of time end a client that neither reads on nor leaves after its last answer', async () => {
      app.onHead = (_, wire) => wire.send('HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n');
      const client = open();
      client.send(
        'POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 9\r\n\r\nabc',
      );
      expect(statusOf(await client.message())).toBe(413);
      await client.end();
      expect(path.entry.connections()).toBe(1);
      await until('nothing is held', () => {
        for (const one of path.sidecars) one.advance(10_000);
        return path.entry.connections() === 0;
      });
      await until('nothing is under way', () =>
        path.sidecars.every((one) => one.inbound.inFlight() + one.outbound.inFlight() === 0),
      );
    });
  });

  describe('an app', () => {
    async function answerOf(text: string | null, request = get): Promise<Message> {
      app.serve = (_, wire) => {
        if (text !== null) wire.send(text);
        wire.socket.end();
      };
      return (await ask(request)).answer;
    }

    it.each([
      ['garbage', 'garbage\r\n\r\n', 'status line'],
      ['another protocol', '-ERR unknown command\r\n', ''],
      ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n', ''],
      [
        'two lengths',
        'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
        'differ',
      ],
      [
        'a length and chunks',
        'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
        'Transfer-Encoding',
      ],
      ['obs-fold', 'HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n', 'folding'],
      ['a head without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}\r\n\r\n`, 'too long'],
      ['fields without number', `HTTP/1.1 200 OK\r\n${'x: 1\r\n'.repeat(300)}\r\n`, 'too many'],
      ['101 unasked', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n', '101'],
      ['interim answers without end', 'HTTP/1.1 103 X\r\n\r\n'.repeat(100), 'interim'],
    ])('that answers %s is named with its fault, as 502', async (_, text, words) => {
      const client = open();
      app.serve = (_request, wire) => {
        wire.send(text);
        if (words === '') wire.socket.end();
      };
      client.send(get);
      let answer = await client.message();
      while (statusOf(answer) < 200) answer = await client.message();
      expect([statusOf(answer), value(answer, 'tsmesh-error')]).toEqual([
        502,
        expect.stringMatching(/^upstream-/),
      ]);
      expect(answer.body).toContain(`port ${app.address.port}`);
      expect(answer.body).toContain(words);
      client.send(get);
      app.serve = (_request, wire) => wire.send('HTTP/1.1 204 No Content\r\n\r\n');
      expect(statusOf(await client.message())).toBe(204);
    });

    it('that closes without an answer is asked once, and it is said so as 502', async () => {
      for (const method of ['GET', 'POST']) {
        const before = app.requests.length;
        const answer = await answerOf(null, `${method} / HTTP/1.1\r\nhost: a\r\n\r\n`);
        expect([statusOf(answer), value(answer, 'tsmesh-error')]).toEqual([502, 'upstream-reset']);
        expect(answer.body).toContain('before its answer was complete');
        expect(app.requests.length - before).toBe(1);
      }
    });

    it.each([
      ['GET', 2, 200],
      ['PUT', 2, 200],
      ['DELETE', 2, 200],
      ['POST', 1, 502],
      ['PATCH', 1, 502],
    ])(
      'that closes a used connection under %s is asked %i times',
      async (method, times, status) => {
        expect(statusOf((await ask(get)).answer)).toBe(200);
        const { serve } = app;
        app.serve = (_, wire) => {
          app.serve = serve;
          wire.socket.destroy();
        };
        const { answer } = await ask(
          `${method} /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi`,
        );
        expect(statusOf(answer)).toBe(status);
        const asked = app.requests.filter(({ line }) => line.startsWith(`${method} /x`));
        expect(asked.map(({ body }) => body)).toEqual(Array.from({ length: times }, () => 'hi'));
      },
    );

    it('that is not there is named as 503', async () => {
      app.close();
      await until('it is gone', () => app.wires.every(({ closed }) => closed));
      const { answer } = await ask('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n');
      expect(statusOf(answer)).toBe(503);
      expect(answer.body).toContain('ECONNREFUSED');
      if (path.entry === path.sidecars[0]!.outbound)
        expect(value(answer, 'tsmesh-unreached')).toBeUndefined();
    });
  });
});

/** One caller, and two callees with an app each. */
async function startTwo(): Promise<{ pair: MeshPair; apps: RawApp[]; callees: MeshPair[] }> {
  const apps = [await startRawApp(), await startRawApp()];
  const pair = await startPair(apps[0]!.address);
  const other = await startPair(apps[1]!.address);
  other.callee.identity.swap(pair.issue('callee'));
  closers.push(() => {
    pair.close();
    other.close();
    for (const one of apps) one.close();
  });
  const identity = pair.callee.identity.current()!.spiffeId;
  const both = [pair.callee.inbound.address, other.callee.inbound.address];
  pair.caller.apply(endpoints(both, identity));
  return { pair, apps, callees: [pair, other] };
}

describe('what reached no app', () => {
  it('is tried at another pod without any policy, whatever the method', async () => {
    const { pair, apps } = await startTwo();
    apps[0]!.close();
    const { port } = pair.caller.outbound.address;
    for (let i = 0; i < 10; i += 1) {
      const body = `body ${i}`;
      const post = `POST /${i} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
      expect(statusOf((await ask(post, port)).answer)).toBe(200);
    }
    expect(apps[1]!.requests.map(({ body }) => body)).toEqual(
      Array.from({ length: 10 }, (_, i) => `body ${i}`),
    );
    expect(pair.callee.log.some(({ flag }) => flag === 'AF')).toBe(true);
  });

  it('is tried at most twice more, and then answered in the words of the pod asked last', async () => {
    const { pair, apps, callees } = await startTwo();
    for (const one of apps) one.close();
    const { answer } = await ask(get, pair.caller.outbound.address.port);
    expect([statusOf(answer), value(answer, 'tsmesh-error')]).toEqual([503, 'app-unreachable']);
    expect(value(answer, 'tsmesh-unreached')).toBeUndefined();
    const asked = callees.flatMap(({ callee }) => callee.log.filter(({ flag }) => flag === 'AF'));
    expect(asked).toHaveLength(3);
    expect(pair.caller.log.at(-1)).toMatchObject({ attempts: 3, status: 503 });
  });

  it('cannot be claimed by an app: its answer is the answer', async () => {
    const { pair, apps } = await startTwo();
    for (const one of apps)
      one.serve = (_, wire) =>
        wire.send('HTTP/1.1 503 No\r\ntsmesh-unreached: app\r\ncontent-length: 3\r\n\r\nown');
    const { answer } = await ask(get, pair.caller.outbound.address.port);
    expect([statusOf(answer), answer.body]).toEqual([503, 'own']);
    expect(value(answer, 'tsmesh-unreached')).toBeUndefined();
    expect(apps[0]!.requests.length + apps[1]!.requests.length).toBe(1);
  });
});

const retry = {
  attempts: 3,
  on: ['5xx' as const],
  perTryTimeoutMs: null,
  backoffMs: 1,
  maxBackoffMs: 2,
  budgetPercent: 100,
  budgetMinConcurrent: 10,
};

describe.each(paths.slice(0, 2))('a retried answer, %s', (way) => {
  beforeEach(async () => {
    app = await startRawApp();
    path = await openPath(way, app.address);
    path.sidecars[0]!.apply(destination({ routes: [route({ retry })] }));
    closers.push(() => {
      path.close();
      app.close();
    });
  });

  function failingWith(rest: string): void {
    let count = 0;
    app.serve = (_, wire) => {
      count += 1;
      if (count % 3 === 0) wire.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      else wire.send(`HTTP/1.1 503 No\r\n${rest}`);
    };
  }

  it.each([
    ['of a length', 'content-length: 4\r\n\r\nnope'],
    ['in chunks', 'transfer-encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\nx: 1\r\n\r\n'],
    ['without body', 'content-length: 0\r\n\r\n'],
  ])('%s leaves the connection to the app in use', async (_, rest) => {
    failingWith(rest);
    for (let i = 0; i < 5; i += 1) expect((await ask(get)).answer.body).toBe('ok');
    expect(app.requests).toHaveLength(15);
    await until('all of it was read', () => app.wires.every(({ error }) => error === null));
    expect(app.wires.filter(({ ended, closed }) => ended || closed)).toEqual([]);
    expect(app.wires.length).toBeLessThan(4);
  });

  it('that is long or does not end costs its connection, and no more', async () => {
    failingWith(`content-length: 1000000\r\n\r\n${'x'.repeat(100)}`);
    expect((await ask(get)).answer.body).toBe('ok');
    await until('both were reset', () => app.wires.filter(({ closed }) => closed).length === 2);
    failingWith('transfer-encoding: chunked\r\n\r\n4\r\nnope\r\n');
    expect((await ask(get)).answer.body).toBe('ok');
    for (const one of path.sidecars) one.advance(2_000);
    await until('these too', () => app.wires.filter(({ closed }) => closed).length === 4);
  });
});

describe('a request that asks for a tunnel', () => {
  it('is under the timeout of its route until it is answered', async () => {
    app = await startRawApp();
    app.serve = () => undefined;
    path = await openPath(paths[0], app.address);
    path.sidecars[0]!.apply(destination({ routes: [route({ timeoutMs: 50 })] }));
    closers.push(() => {
      path.close();
      app.close();
    });
    for (const head of [
      'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
      'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n',
    ])
      expect(statusOf((await ask(head)).answer)).toBe(504);
  });
});

describe('the end of a certificate', () => {
  it.each(['callee', 'caller'] as const)('has a flag of its own at the %s', async (side) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        const http = chunk.includes('HTTP/1.1');
        socket.write(http ? 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome' : 'some');
      });
    });
    const pair = await startPair(await listenOn(server));
    closers.push(() => {
      pair.close();
      server.close();
    });
    const { port } = pair.caller.outbound.address;
    pair.callee.apply(workload({ mtls: 'STRICT' }));
    const http = open(port);
    http.send(get);
    await http.has('some');
    const opaque = open(port);
    opaque.send('\x00hello');
    await opaque.has('some');
    // The certificates of the test last an hour.
    pair.caller.wall.offsetMs = 2 * 3_600_000;
    pair.callee.wall.offsetMs = 2 * 3_600_000;
    await http.reset();
    await opaque.reset();
    await until('both are logged', () => pair[side].log.length === 2);
    expect(pair[side].log.map(({ flag }) => flag)).toEqual(['CE', 'CE']);
  });
});
