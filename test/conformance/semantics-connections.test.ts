// What HTTP/1 connections do along every way through the mesh: keep-alive, pipelining, close, tunnels, early
// answers, and either side going away.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../support/mesh-pair.ts';
import { openPath, paths, type OpenPath } from './semantics-paths.ts';
import { startRawApp, value, type RawApp } from './semantics-peers.ts';

let app: RawApp;
let path: OpenPath;

const open = () => path.open();

const get = (target = '/', fields = '') => `GET ${target} HTTP/1.1\r\nhost: a\r\n${fields}\r\n`;
const ok = (body = 'ok', fields = '') =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${fields}\r\n${body}`;

/** Nothing is under way any more, at any sidecar. */
const settled = () =>
  until('no request is in flight', () =>
    path.sidecars.every((one) => one.inbound.inFlight() + one.outbound.inFlight() === 0),
  );

describe.each(paths)('HTTP/1 connections, %s', (way) => {
  beforeEach(async () => {
    app = await startRawApp();
    path = await openPath(way, app.address);
  });

  afterEach(() => {
    path.close();
    app.close();
  });

  describe('kept alive', () => {
    it('carry one request after the other, to one connection of the app', async () => {
      const client = open();
      for (let i = 0; i < 20; i += 1) {
        client.send(get(`/${i}`));
        expect((await client.message()).body).toBe('ok');
      }
      expect(app.requests.map(({ line }) => line.split(' ')[1])).toEqual(
        Array.from({ length: 20 }, (_, i) => `/${i}`),
      );
      expect(app.wires).toHaveLength(1);
    });

    it('answer pipelined requests in their order, with bodies and whatever the app takes', async () => {
      app.serve = ({ line, body }, wire) => {
        const target = line.split(' ')[1]!;
        setTimeout(() => wire.send(ok(`${target}=${body}`)), target === '/0' ? 60 : 0);
      };
      const client = open();
      const post = (i: number) =>
        `POST /${i} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\n${i}\r\n0\r\n\r\n`;
      client.send(
        Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? get(`/${i}`) : post(i))).join(''),
      );
      const bodies: string[] = [];
      for (let i = 0; i < 6; i += 1) bodies.push((await client.message()).body);
      expect(bodies).toEqual(['/0=', '/1=1', '/2=', '/3=3', '/4=', '/5=5']);
    });

    it('are kept for HTTP/1.0 clients that ask for it, and closed for others', async () => {
      const keeping = open();
      for (let i = 0; i < 2; i += 1) {
        keeping.send('GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
        expect(value(await keeping.message(), 'connection')).toBe('keep-alive');
      }
      const other = open();
      other.send('GET / HTTP/1.0\r\n\r\n');
      expect(value(await other.message(), 'connection')).toBe('close');
      await other.end();
    });

    it('end with the answer to a request that says close; what follows it is not served', async () => {
      const client = open();
      client.send(get('/', 'connection: close\r\n') + get('/second'));
      const answer = await client.message();
      expect([answer.body, value(answer, 'connection')]).toEqual(['ok', 'close']);
      await client.end();
      expect(app.requests).toHaveLength(1);
      expect(client.rest).toBe('');
    });

    it('go on when the app closes its own', async () => {
      app.serve = (_, wire) => {
        wire.send(ok('bye', 'connection: close\r\n'));
        wire.socket.end();
      };
      const client = open();
      for (let i = 0; i < 3; i += 1) {
        client.send(get());
        const answer = await client.message();
        expect([answer.body, value(answer, 'connection')]).toEqual(['bye', undefined]);
      }
      expect(app.wires).toHaveLength(3);
    });

    it('do not give what an app says unasked to the next client', async () => {
      app.serve = (_, wire) => wire.send(ok('mine') + ok('stray'));
      const client = open();
      client.send(get());
      expect((await client.message()).body).toBe('mine');
      app.serve = (_, wire) => wire.send(ok('next'));
      client.send(get());
      expect((await client.message()).body).toBe('next');
    });
  });

  describe('upgraded', () => {
    const asking = (token: string, method = 'GET') =>
      `${method} /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: ${token}\r\n` +
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n';
    const accepting = (token: string) =>
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${token}\r\n` +
      'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nx-more: 1\r\n\r\n';

    it.each([
      ['websocket', 'GET'],
      ['WebSocket', 'GET'],
      ['tcp', 'POST'],
      ['SPDY/3.1', 'POST'],
      ['tls/1.2, foo/2', 'GET'],
    ])('to %s by %s carry bytes both ways and half-closes', async (token, method) => {
      app.serve = (_, wire) => wire.send(`${accepting(token)}first`);
      const client = open();
      client.send(asking(token, method));
      const answer = await client.message();
      const [request] = app.requests;
      expect(request!.line).toBe(`${method} /chat HTTP/1.1`);
      expect([value(request!, 'upgrade'), value(request!, 'connection')]).toEqual([
        token,
        'upgrade',
      ]);
      expect(value(request!, 'sec-websocket-key')).toBe('dGhlIHNhbXBsZSBub25jZQ==');
      expect(answer.line).toMatch(/^HTTP\/1.1 101 /);
      expect([value(answer, 'upgrade'), value(answer, 'connection')]).toEqual([token, 'upgrade']);
      expect([value(answer, 'sec-websocket-accept'), value(answer, 'x-more')]).toEqual([
        's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
        '1',
      ]);
      await client.has('first');
      client.send('\x00\xffping GET / HTTP/1.1\r\n\r\n');
      await until('the app got it', () =>
        app.wires[0]!.text.endsWith('ping GET / HTTP/1.1\r\n\r\n'),
      );
      client.socket.end();
      await until('the app sees the end', () => app.wires[0]!.ended);
      await until('the client sees the end', () => client.ended);
      await settled();
    });

    it('by bytes that were sent before the app agreed lose none of them', async () => {
      app.serve = (_, wire) => wire.send(accepting('echo'));
      const client = open();
      client.send(`${asking('echo')}early`);
      await client.message();
      await until('the app got it', () => app.wires[0]!.text.endsWith('early'));
    });

    it('are reset where either side is reset', async () => {
      app.serve = (_, wire) => wire.send(accepting('echo'));
      const first = open();
      first.send(asking('echo'));
      await first.message();
      app.wires[0]!.socket.resetAndDestroy();
      await first.reset();
      const second = open();
      second.send(asking('echo'));
      await second.message();
      second.socket.resetAndDestroy();
      await until('the app saw it', () => app.wires[1]!.error !== null || app.wires[1]!.closed);
      await settled();
    });

    it.each([
      ['a 200', `HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nno!!`, 'no!!'],
      [
        'a 200 in chunks',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n',
        'no',
      ],
      ['a 204', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
      ['a 403', 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno', 'no'],
      [
        'a 426',
        'HTTP/1.1 426 Upgrade Required\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 0\r\n\r\n',
        '',
      ],
      ['a 302', 'HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n', ''],
    ])('are not where the app answers with %s, and go on as HTTP', async (_, text, body) => {
      app.serve = (_request, wire) => wire.send(text);
      const client = open();
      client.send(asking('websocket'));
      const answer = await client.message();
      expect([answer.line.slice(9, 12), answer.body]).toEqual([text.slice(9, 12), body]);
      client.send(get('/next'));
      expect((await client.message()).line.slice(9, 12)).toBe(text.slice(9, 12));
      expect(app.requests[1]!.line).toBe('GET /next HTTP/1.1');
    });

    it('to h2c are not: the request goes on without the wish', async () => {
      const client = open();
      client.send(asking('h2c'));
      expect((await client.message()).body).toBe('ok');
      expect(value(app.requests[0]!, 'upgrade')).toBeUndefined();
    });

    it('need the connection option: a bare Upgrade field is dropped', async () => {
      const client = open();
      client.send(get('/', 'upgrade: websocket\r\n'));
      expect((await client.message()).body).toBe('ok');
      expect(value(app.requests[0]!, 'upgrade')).toBeUndefined();
    });
  });

  describe('of CONNECT', () => {
    const connect = 'CONNECT db.example:5432 HTTP/1.1\r\nhost: db.example:5432\r\n\r\n';

    it('become tunnels through an app that is a proxy', async () => {
      app.serve = (_, wire) => wire.send('HTTP/1.1 200 Connected\r\nx-p: 1\r\n\r\nhello');
      const client = open();
      client.send(`${connect}early`);
      await client.has('hello');
      expect(client.text).toMatch(/^HTTP\/1.1 200 OK\r\nx-p: 1\r\n\r\nhello$/);
      expect(app.requests[0]!.line).toBe('CONNECT db.example:5432 HTTP/1.1');
      client.send(' late');
      await until('the app got it', () => app.wires[0]!.text.endsWith('early late'));
      client.socket.end();
      await until('the app sees the end', () => app.wires[0]!.ended);
      await settled();
    });

    it.each([405, 407, 502])(
      'that the app refuses with %i are answered so, and end',
      async (status) => {
        app.serve = (_, wire) => wire.send(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\nno`);
        const client = open();
        client.send(`${connect}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n`);
        const answer = await client.message();
        expect([answer.line.slice(9, 12), answer.body]).toEqual([String(status), 'no']);
        await client.end();
        expect(app.requests).toHaveLength(1);
        expect(app.wires[0]!.text).not.toContain('smuggled');
      },
    );
  });

  describe('with an early answer', () => {
    const upload = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n';

    it('go on after the rest of the request, where the app reads it', async () => {
      app.onHead = ({ line }, wire) => {
        if (line.startsWith('POST')) wire.send(ok('early'));
      };
      app.serve = ({ line }, wire) => {
        if (line.startsWith('GET')) wire.send(ok('next'));
      };
      const client = open();
      client.send(`${upload}${'x'.repeat(1000)}`);
      expect((await client.message()).body).toBe('early');
      client.send('x'.repeat(999_000) + get());
      expect((await client.message()).body).toBe('next');
      // The next one may have gone to another connection of the app, and ahead.
      const uploaded = () => app.requests.find(({ line }) => line.startsWith('POST'));
      await until('the app has the rest', () => uploaded() !== undefined);
      expect(uploaded()!.body).toHaveLength(1_000_000);
    });

    it('give it to the client although the app closes without reading on', async () => {
      app.onHead = (_, wire) => {
        wire.socket.pause();
        wire.send('HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig');
        wire.socket.end();
      };
      const client = open();
      client.send(upload);
      const answer = await client.message();
      expect([answer.line.slice(9, 12), answer.body]).toEqual(['413', 'big']);
      client.send('x'.repeat(1_000_000));
      app.onHead = () => undefined;
      client.send(get());
      expect((await client.message()).body).toBe('ok');
    });

    it('carry both directions at once', async () => {
      app.onHead = (_, wire) => {
        wire.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        wire.socket.on('data', (chunk: Buffer) => {
          if (chunk.includes('two')) wire.send('3\r\ntwo\r\n0\r\n\r\n');
          else if (chunk.includes('one')) wire.send('3\r\none\r\n');
        });
      };
      app.serve = () => undefined;
      const client = open();
      client.send('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
      await client.has('200 OK');
      client.send('3\r\none\r\n');
      await client.has('one');
      client.send('3\r\ntwo\r\n0\r\n\r\n');
      expect((await client.message()).body).toBe('onetwo');
    });
  });

  describe('whose client leaves', () => {
    it.each(['reset', 'FIN'])('(%s) while it is answered, let the app see it', async (how) => {
      app.serve = (_, wire) => wire.send('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome');
      const client = open();
      client.send(get());
      await client.has('some');
      if (how === 'reset') client.socket.resetAndDestroy();
      else client.socket.end();
      await until('the app saw it', () => app.wires[0]!.ended || app.wires[0]!.error !== null);
      await settled();
    });

    it('before it is answered, let the app see it', async () => {
      app.serve = () => undefined;
      const client = open();
      client.send(get());
      await until('it is there', () => app.requests.length === 1);
      client.socket.resetAndDestroy();
      await until('the app saw it', () => app.wires[0]!.ended || app.wires[0]!.error !== null);
      await settled();
    });

    it('in the middle of its request, do not make it look whole', async () => {
      for (const rest of [
        'content-length: 9\r\n\r\nabc',
        'transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n',
      ]) {
        const before = app.wires.length;
        const client = open();
        client.send(`POST / HTTP/1.1\r\nhost: a\r\n${rest}`);
        await until('it is there', () => app.wires[before]?.text.includes('abc') === true);
        client.socket.end();
        const wire = app.wires[before]!;
        await until('the app saw it', () => wire.ended || wire.error !== null);
        expect(wire.text).not.toContain('0\r\n\r\n');
      }
      expect(app.requests).toEqual([]);
      await settled();
    });
  });

  describe('whose app leaves', () => {
    const begun = [
      ['with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome', 'both'],
      ['in chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n', 'both'],
      ['to the close', 'HTTP/1.1 200 OK\r\n\r\nsome', 'reset'],
    ] as const;

    it.each(begun)('in an answer %s do not make it look whole', async (_, text, by) => {
      app.serve = (_request, wire) => wire.send(text);
      for (const version of ['1.1', '1.0'])
        for (const how of by === 'both' ? ['FIN', 'reset'] : ['reset']) {
          const client = open();
          client.send(`GET / HTTP/${version}\r\nhost: a\r\n\r\n`);
          await client.has('some');
          const { socket } = app.wires.at(-1)!;
          if (how === 'reset') socket.resetAndDestroy();
          else socket.end();
          await client.reset();
          expect(client.text).not.toContain('0\r\n\r\n');
        }
      await settled();
    });
  });
});
