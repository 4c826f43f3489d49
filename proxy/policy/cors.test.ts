// What browsers are told, by the words of the Fetch standard ("CORS protocol").
import { describe, expect, it } from '@jest/globals';
import type { Cors } from '../api/resources.ts';
import type { RequestHead } from '../codec/session.ts';
import { prepareRoute } from '../state/prepare-route.ts';
import { answerFields, preflightFields, preflightOf, replaceCors } from './cors.ts';

function policy(over: Partial<Cors> = {}) {
  const cors: Cors = {
    allowOrigins: ['https://shop.example'],
    allowMethods: ['GET', 'PUT'],
    allowHeaders: ['x-token'],
    exposeHeaders: [],
    allowCredentials: false,
    maxAgeSeconds: null,
    ...over,
  };
  return prepareRoute({ name: 'r', backends: [], cors }, '').cors!;
}

function preflight(fields: string[], method = 'OPTIONS'): RequestHead {
  return {
    method,
    scheme: 'http',
    authority: '',
    path: '/',
    upgrade: null,
    fields,
    contentLength: 0,
  };
}

const asks = ['access-control-request-method', 'PUT'];
const varies = 'access-control-request-method, access-control-request-headers';

describe('a preflight', () => {
  it('is an OPTIONS with an origin and the method that is to follow', () => {
    const fields = ['origin', 'https://a', ...asks];
    expect(preflightOf(preflight(fields))).toEqual({
      origin: 'https://a',
      method: 'PUT',
      headers: undefined,
    });
    expect(preflightOf(preflight(fields, 'GET'))).toBeNull();
    expect(preflightOf(preflight(asks))).toBeNull();
    expect(preflightOf(preflight(['origin', 'https://a']))).toBeNull();
  });

  it('is told the origin, methods and headers that are allowed', () => {
    const said = preflightFields(policy({ maxAgeSeconds: 600 }), {
      origin: 'https://shop.example',
      method: 'DELETE',
      headers: 'x-other',
    });
    expect(said).toEqual(
      [
        ['access-control-allow-origin', 'https://shop.example'],
        ['access-control-allow-methods', 'GET, PUT'],
        ['access-control-allow-headers', 'x-token'],
        ['access-control-max-age', '600'],
        ['vary', `origin, ${varies}`],
      ].flat(),
    );
  });

  it('is told nothing where its origin is not allowed', () => {
    const said = preflightFields(policy({ allowCredentials: true, maxAgeSeconds: 1 }), {
      origin: 'https://evil.example',
      method: 'GET',
      headers: undefined,
    });
    expect(said).toEqual(['vary', `origin, ${varies}`]);
  });

  it('is told its own wishes where all are allowed, for a star is none with credentials', () => {
    const all = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'] };
    const asked = { origin: 'https://any', method: 'PATCH', headers: 'x-a, x-b' };
    expect(preflightFields(policy({ ...all, allowCredentials: true }), asked)).toEqual(
      [
        ['access-control-allow-origin', 'https://any'],
        ['access-control-allow-credentials', 'true'],
        ['access-control-allow-methods', 'PATCH'],
        ['access-control-allow-headers', 'x-a, x-b'],
        ['vary', `origin, ${varies}`],
      ].flat(),
    );
    expect(preflightFields(policy(all), asked)).toEqual(
      [
        ['access-control-allow-origin', '*'],
        ['access-control-allow-methods', 'PATCH'],
        ['access-control-allow-headers', 'x-a, x-b'],
        ['vary', varies],
      ].flat(),
    );
    expect(preflightFields(policy(all), { ...asked, headers: undefined })).not.toContain(
      'access-control-allow-headers',
    );
  });
});

describe('an origin', () => {
  const allowed = (patterns: string[], origin: string) =>
    answerFields(policy({ allowOrigins: patterns }), ['origin', origin]).includes(origin);

  it.each([
    [['https://a.example'], 'https://a.example', true],
    [['https://A.example'], 'https://a.example', true],
    [['https://a.example'], 'http://a.example', false],
    [['https://a.example'], 'https://a.example:8443', false],
    [['https://a.example'], 'https://a.example.evil', false],
    [['https://*.example'], 'https://a.example', true],
    [['https://*.example'], 'https://a.b.example', true],
    [['https://*.example'], 'https://example', false],
    [['https://*.example'], 'https://.example', false],
    [['https://*.example'], 'https://evil.test/.example', false],
    [['https://*.example'], 'https://evil.test#.example', false],
    [['https://*.example'], 'https://a.example.evil', false],
    [['http://localhost:*'], 'http://localhost:3000', true],
    [['http://localhost:*'], 'http://localhost', false],
    [['*://a.example'], 'app://a.example', true],
    [['null'], 'null', true],
    [['https://a.example'], 'null', false],
    [['https://a.example', 'https://*.b'], 'https://x.b', true],
    [[], 'https://a.example', false],
  ])('of %j: %s is allowed: %s', (patterns, origin, expected) => {
    expect(allowed(patterns, origin)).toBe(expected);
  });
});

describe('an answer', () => {
  const origin = ['origin', 'https://shop.example'];

  it('names the origin, what may be read, and that it depends on the origin', () => {
    const cors = policy({ exposeHeaders: ['x-total', 'etag'], allowCredentials: true });
    expect(answerFields(cors, origin)).toEqual(
      [
        ['access-control-allow-origin', 'https://shop.example'],
        ['access-control-allow-credentials', 'true'],
        ['access-control-expose-headers', 'x-total, etag'],
        ['vary', 'origin'],
      ].flat(),
    );
    expect(answerFields(cors, ['origin', 'https://evil.example'])).toEqual(['vary', 'origin']);
    expect(answerFields(cors, [])).toEqual(['vary', 'origin']);
  });

  it('is the same for everybody where everybody may read it', () => {
    const cors = policy({ allowOrigins: ['*'] });
    expect(answerFields(cors, [])).toEqual(['access-control-allow-origin', '*']);
    expect(answerFields(cors, origin)).toEqual(['access-control-allow-origin', '*']);
  });

  it('holds what the policy says in place of what the app says', () => {
    const said = answerFields(policy(), origin);
    const app = ['access-control-allow-origin', '*', 'x-a', '1', 'access-control-max-age', '9'];
    expect(replaceCors([...app, 'vary', 'accept'], said)).toEqual(
      [
        ['x-a', '1', 'vary', 'accept'],
        ['access-control-allow-origin', 'https://shop.example', 'vary', 'origin'],
      ].flat(),
    );
  });

  it.each(['origin', 'Accept, Origin', '*'])(
    'says once that it varies: the app said %s',
    (vary) => {
      const fields = replaceCors(['vary', vary], answerFields(policy(), origin));
      expect(fields.filter((one) => one === 'vary')).toHaveLength(1);
    },
  );
});
