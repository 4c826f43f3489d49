// HTTP/1.1 and 1.0 from an app to an app, byte for byte, along every way through the mesh: messages, fields,
// targets, bodies. Connections and failures are in semantics-connections and semantics-failures.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../support/mesh-pair.ts';
import { openPath, paths, type OpenPath } from './semantics-paths.ts';
import { names, startRawApp, value, values, type RawApp } from './semantics-peers.ts';

let app: RawApp;
let path: OpenPath;

const open = () => path.open();

async function ask(text: string, bodiless = false) {
  const client = open();
  client.send(text);
  const answer = await client.message(bodiless);
  return { answer, client, request: app.requests.at(-1)! };
}

describe.each(paths)('HTTP/1 → HTTP/1, %s', (way) => {
  beforeEach(async () => {
    app = await startRawApp();
    path = await openPath(way, app.address);
  });

  afterEach(() => {
    path.close();
    app.close();
  });

  describe('requests', () => {
    it.each([
      '/',
      '//a/../b;p?x=%2F',
      '/a%2fb%2E%2e/%00?',
      '/?a=b&a=c&&=',
      '/"|{}[]^`<>\\',
      '/a//b/./c/../d?//../?',
      `/${'long'.repeat(10_000)}`,
      '/:80@x',
      "/~!$&'()*+,;=-._",
    ])('keep the target %.60s', async (target) => {
      const { request } = await ask(`GET ${target} HTTP/1.1\r\nhost: cart.shop:8080\r\n\r\n`);
      expect(request.line).toBe(`GET ${target} HTTP/1.1`);
    });

    it.each(['GET', 'HEAD', 'DELETE', 'TRACE', 'PROPFIND', 'get', 'M-SEARCH', "!#$%&'*+-.^_`|~09"])(
      'keep the method %s',
      async (method) => {
        const { request } = await ask(`${method} / HTTP/1.1\r\nhost: a\r\n\r\n`, true);
        expect(request.line).toBe(`${method} / HTTP/1.1`);
      },
    );

    it('keep the asterisk-form', async () => {
      const { request } = await ask('OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n');
      expect(request.line).toBe('OPTIONS * HTTP/1.1');
    });

    it.each([
      ['GET http://other.example:81/x?y HTTP/1.1', 'other.example:81'],
      ['GET https://other.example/ HTTP/1.1', 'other.example'],
      ['OPTIONS http://other.example HTTP/1.1', 'other.example'],
    ])('keep the absolute-form, whose host overrules Host: %s', async (line, host) => {
      const { request } = await ask(`${line}\r\nhost: a\r\n\r\n`);
      expect(request.line).toBe(line);
      expect(values(request.fields, 'host')).toEqual([host]);
    });

    it('keep Host, with port, in capitals, as an address, and empty', async () => {
      for (const host of ['Cart.Shop:80', '10.0.0.1', '[::1]:8080', '', 'xn--bcher-kva.example']) {
        const { request } = await ask(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
        expect(values(request.fields, 'host')).toEqual([host]);
      }
    });

    it('keep duplicates and the order of fields', async () => {
      const fields =
        'x-b: 1\r\nx-a: 2\r\nx-b: 3\r\naccept: a\r\nx-empty:\r\nx-b:  , 4\t \r\naccept: b\r\n';
      const { request } = await ask(`GET / HTTP/1.1\r\nhost: a\r\n${fields}\r\n`);
      expect(names(request)).toEqual([
        'host',
        'x-b',
        'x-a',
        'x-b',
        'accept',
        'x-empty',
        'x-b',
        'accept',
      ]);
      expect(values(request.fields, 'x-b')).toEqual(['1', '3', ', 4']);
      expect(values(request.fields, 'x-empty')).toEqual(['']);
    });

    it('keep every byte that a field value may hold', async () => {
      const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
      const odd = all.filter((c) => c === '\t' || (c >= ' ' && c !== '\x7f')).join('');
      const { request } = await ask(`GET / HTTP/1.1\r\nhost: a\r\nx-odd: <${odd}>\r\n\r\n`);
      expect(values(request.fields, 'x-odd')).toEqual([`<${odd}>`]);
    });

    it('keep very long values and many fields', async () => {
      const long = 'v'.repeat(50_000);
      const many = Array.from({ length: 240 }, (_, i) => `x-${i}: ${i}\r\n`).join('');
      const { request } = await ask(`GET / HTTP/1.1\r\nhost: a\r\nx-long: ${long}\r\n${many}\r\n`);
      expect(value(request, 'x-long')).toBe(long);
      expect(names(request)).toHaveLength(242);
    });

    it('keep what other intermediaries and tracing say, and add nothing but the id', async () => {
      const lines = [
        'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'tracestate: a=1,b=2',
        'baggage: k=v',
        'via: 1.1 edge',
        'x-forwarded-for: 1.2.3.4',
        'forwarded: for=1.2.3.4',
        'max-forwards: 0',
        'user-agent: it',
      ];
      const { request } = await ask(
        `OPTIONS / HTTP/1.1\r\nhost: a\r\n${lines.join('\r\n')}\r\n\r\n`,
      );
      expect(names(request)).toEqual(['host', ...lines.map((line) => line.split(':')[0])]);
      for (const line of lines)
        expect(value(request, line.split(':')[0]!)).toBe(line.slice(line.indexOf(' ') + 1));
    });

    it('lose hop-by-hop fields and what Connection names', async () => {
      const { request } = await ask(
        'GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, x-hop, te\r\nkeep-alive: timeout=5\r\n' +
          'proxy-connection: keep-alive\r\nte: gzip, trailers\r\nx-hop: 1\r\nx-end: 2\r\nupgrade: h2c\r\n' +
          'http2-settings: AA\r\n\r\n',
      );
      expect(names(request).toSorted()).toEqual(['connection', 'host', 'te', 'x-end']);
      expect([value(request, 'te'), value(request, 'connection')]).toEqual(['trailers', 'te']);
    });

    it('keep a body of a length, in chunks, empty, or none, as it is', async () => {
      const cases: [string, Record<string, string | undefined>, string][] = [
        ['content-length: 3\r\n\r\nabc', { 'content-length': '3' }, 'abc'],
        ['content-length: 0\r\n\r\n', { 'content-length': '0' }, ''],
        ['\r\n', { 'content-length': undefined, 'transfer-encoding': undefined }, ''],
        ['transfer-encoding: chunked\r\n\r\n0\r\n\r\n', { 'transfer-encoding': 'chunked' }, ''],
        ['transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', {}, 'abc'],
      ];
      for (const method of ['POST', 'GET', 'PATCH', 'DELETE'])
        for (const [rest, expected, body] of cases) {
          const { request } = await ask(`${method} / HTTP/1.1\r\nhost: a\r\n${rest}`);
          expect(request.body).toBe(body);
          for (const [name, wanted] of Object.entries(expected))
            expect([method, rest, name, value(request, name)]).toEqual([
              method,
              rest,
              name,
              wanted,
            ]);
        }
    });

    it('in chunks with extensions keep their bytes and trailers', async () => {
      const { request } = await ask(
        'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, x-twice\r\n\r\n' +
          '3;a=b;c="d;\\"e"\r\na\r\n\r\n2;last\r\nbc\r\n0;x=1\r\nx-sum: \xe9\r\nx-twice: 1\r\nX-Twice: 2\r\n\r\n',
      );
      expect(request.body).toBe('a\r\nbc');
      expect(value(request, 'trailer')).toBe('x-sum, x-twice');
      expect(request.trailers).toEqual([
        ['x-sum', '\xe9'],
        ['x-twice', '1'],
        ['x-twice', '2'],
      ]);
    });

    it('of HTTP/1.0 come with the Host they had, or an empty one', async () => {
      const one = await ask('GET / HTTP/1.0\r\nhost: a\r\n\r\n');
      expect(values(one.request.fields, 'host')).toEqual(['a']);
      const none = await ask('GET / HTTP/1.0\r\n\r\n');
      expect(values(none.request.fields, 'host')).toEqual(['']);
    });

    it('keep a Cookie, several lines of it joined as one', async () => {
      const { request } = await ask(
        'GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1; b="x, y"\r\nx-1: 1\r\ncookie: c=2\r\n\r\n',
      );
      expect(values(request.fields, 'cookie').join('; ')).toBe('a=1; b="x, y"; c=2');
    });
  });

  describe('answers', () => {
    async function answered(text: string, request = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n') {
      app.serve = (_, wire) => wire.send(text);
      return ask(request, request.startsWith('HEAD'));
    }

    it.each([
      200, 201, 203, 206, 207, 299, 300, 301, 303, 399, 400, 404, 418, 451, 500, 503, 599, 700,
    ])('keep the status %i', async (status) => {
      const { answer } = await answered(
        `HTTP/1.1 ${status} Own Words\r\ncontent-length: 1\r\n\r\nx`,
      );
      expect(answer.line).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(answer.body).toBe('x');
    });

    it('keep Date, Server, Set-Cookie lines, duplicates, order and bytes', async () => {
      const fields =
        'date: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: own/1\r\nset-cookie: a=1, x\r\nx-b: 1\r\n' +
        'set-cookie: b=2; Expires=Sun, 06 Nov 1994 08:49:37 GMT\r\nx-b: \xff\x80\r\nvia: 1.0 other\r\n' +
        'etag: "x"\r\nx-empty: \r\nalt-svc: h2=":443"\r\nage: 3\r\ncontent-length: 0\r\n';
      const { answer } = await answered(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
      const sent = fields.split('\r\n').filter((line) => line !== '');
      const got = answer.fields.map(([name, text]) => `${name}: ${text}`);
      expect(got).toEqual(sent);
    });

    it('add no Date or Server', async () => {
      const { answer } = await answered('HTTP/1.1 204 No Content\r\n\r\n');
      expect(answer.fields).toEqual([]);
    });

    it('lose hop-by-hop fields and what Connection names', async () => {
      const { answer } = await answered(
        'HTTP/1.1 200 OK\r\nconnection: x-hop, keep-alive\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\n' +
          'proxy-connection: close\r\nupgrade: h2c\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n',
      );
      expect(answer.fields.map(([name]) => name)).toEqual(['proxy-authenticate', 'content-length']);
    });

    it('to HEAD, 204 and 304 have no body and keep the length they state', async () => {
      const head = 'HEAD / HTTP/1.1\r\nhost: a\r\n\r\n';
      const long = 'HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n';
      const first = await answered(long, head);
      expect(value(first.answer, 'content-length')).toBe('12345');
      first.client.send(head);
      expect(value(await first.client.message(true), 'content-length')).toBe('12345');
      const none = await answered('HTTP/1.1 200 OK\r\n\r\n', head);
      expect(none.answer.fields).toEqual([]);
      const chunked = await answered('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', head);
      expect(value(chunked.answer, 'content-length')).toBeUndefined();
      const unchanged = await answered('HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n');
      expect(value(unchanged.answer, 'content-length')).toBe('77');
      const empty = await answered('HTTP/1.1 204 No Content\r\nx: y\r\n\r\n');
      expect(empty.answer.fields).toEqual([['x', 'y']]);
      empty.client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await empty.client.message()).line).toMatch(/ 204 /);
    });

    it('of no length and no body keep their form', async () => {
      const counted = await answered('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      expect(counted.answer.fields).toEqual([['content-length', '0']]);
      const chunked = await answered(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      );
      expect([chunked.answer.body, value(chunked.answer, 'transfer-encoding')]).toEqual([
        '',
        'chunked',
      ]);
    });

    it('in chunks keep bytes and trailers, announced or not', async () => {
      const { answer } = await answered(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n' +
          '4;e=1\r\nab\r\n\r\n1\r\nc\r\n0\r\nx-sum: 9\r\nx-other: \xfc\r\n\r\n',
      );
      expect(answer.body).toBe('ab\r\nc');
      expect(value(answer, 'trailer')).toBe('x-sum');
      expect(answer.trailers).toEqual([
        ['x-sum', '9'],
        ['x-other', '\xfc'],
      ]);
    });

    it('to HTTP/1.0 have no chunks and no interim responses', async () => {
      const { answer, client } = await answered(
        'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n' +
          'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n',
        'GET / HTTP/1.0\r\n\r\n',
      );
      expect([answer.line, answer.body]).toEqual(['HTTP/1.1 200 OK', 'abc']);
      expect(value(answer, 'transfer-encoding')).toBeUndefined();
      await client.end();
    });

    it('of HTTP/1.0 apps become HTTP/1.1 on a connection that goes on', async () => {
      app.serve = (_, wire) => {
        wire.send('HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok');
        wire.socket.end();
      };
      const { answer, client } = await ask('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect([answer.line, answer.body]).toEqual(['HTTP/1.1 200 OK', 'ok']);
      client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.message()).body).toBe('ok');
    });

    it('delimited by close are whole, and the connection goes on', async () => {
      app.serve = (_, wire) => {
        wire.send('HTTP/1.1 200 OK\r\n\r\nall of it');
        wire.socket.end();
      };
      const { answer, client } = await ask('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect([answer.body, value(answer, 'transfer-encoding')]).toEqual(['all of it', 'chunked']);
      client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect((await client.message()).body).toBe('all of it');
      const old = await ask('GET / HTTP/1.0\r\n\r\n');
      expect(old.answer.body).toBe('all of it');
      await old.client.end();
    });
  });

  describe('interim responses', () => {
    it('come in order before the final one, with their fields', async () => {
      app.serve = (_, wire) =>
        wire.send(
          'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n' +
            'HTTP/1.1 199 Odd\r\nx: 1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
        );
      const { answer, client } = await ask('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      expect([answer.line, values(answer.fields, 'link')]).toEqual([
        'HTTP/1.1 103 Early Hints',
        ['</a>', '</b>'],
      ]);
      expect((await client.message()).line).toMatch(/ 102 /);
      expect((await client.message()).fields).toEqual([['x', '1']]);
      expect((await client.message()).body).toBe('ok');
    });

    const expecting =
      'POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n';

    it('100 comes from the app, once the app says it, and the body only then', async () => {
      app.onHead = (head, wire) => {
        expect(value(head, 'expect')).toBe('100-continue');
        wire.send('HTTP/1.1 100 Continue\r\nx-c: 1\r\n\r\n');
      };
      const client = open();
      client.send(expecting);
      const interim = await client.message();
      expect([interim.line, interim.fields]).toEqual(['HTTP/1.1 100 Continue', [['x-c', '1']]]);
      client.send('abc');
      expect((await client.message()).body).toBe('ok');
      expect(app.requests[0]!.body).toBe('abc');
    });

    it('100 that never comes does not hold the body of a client that waits no longer', async () => {
      const client = open();
      client.send(expecting);
      await until('the app has the head', () => app.wires[0]?.rest.includes('\r\n\r\n') === true);
      client.send('abc');
      expect((await client.message()).line).toBe('HTTP/1.1 200 OK');
      expect(app.requests[0]!.body).toBe('abc');
    });

    it.each([417, 401, 200])(
      'a final %i before any 100 is the answer, then the end',
      async (status) => {
        app.onHead = (_, wire) => wire.send(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\nno`);
        const { answer, client } = await ask(expecting);
        expect(answer.line).toContain(` ${status} `);
        expect(value(answer, 'connection')).toBe('close');
        await client.end();
        client.socket.end();
        await until('the app is free again', () => app.wires[0]!.ended || app.wires[0]!.closed);
        await until('nothing is left', () => path.sidecars.at(-1)!.pool.size === 0);
      },
    );

    it('unknown expectations are the app’s to judge', async () => {
      app.serve = (_, wire) => wire.send('HTTP/1.1 417 No\r\ncontent-length: 0\r\n\r\n');
      const { answer, request } = await ask(
        'GET / HTTP/1.1\r\nhost: a\r\nexpect: the-best\r\n\r\n',
      );
      expect([answer.line.slice(9, 12), value(request, 'expect')]).toEqual(['417', 'the-best']);
    });
  });
});
