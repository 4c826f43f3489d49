import { describe, expect, it } from '@jest/globals';
import type { RequestHead } from '../codec/session.ts';
import { changeFields } from './header-change.ts';
import { redirectLocation, rewriteTarget } from './rewrite.ts';

function head(over: Partial<RequestHead>): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'cart.shop:8080',
    path: '/a/b?c=d',
    upgrade: null,
    fields: [],
    contentLength: null,
    ...over,
  };
}

const nothing = { scheme: null, host: null, port: null, path: null, status: 302 } as const;

describe('rewriting a target', () => {
  it.each<[string, { prefix: string } | { full: string }, string | null, string]>([
    ['/a/b?c=d', { prefix: '/x' }, '/a', '/x/b?c=d'],
    ['/a/b', { prefix: '/x/' }, '/a/', '/x/b'],
    ['/a', { prefix: '/' }, '/a', '/'],
    ['/a/b', { prefix: '/' }, '/a', '/b'],
    ['/a', { prefix: '/x' }, null, '/x/a'],
    ['/a?q', { full: '/whole' }, '/a', '/whole?q'],
    ['*', { full: '/whole' }, null, '*'],
    ['', { full: '/whole' }, null, ''],
  ])('%s with %j of %s becomes %s', (target, change, prefix, expected) => {
    expect(rewriteTarget(target, change, prefix)).toBe(expected);
  });
});

describe('the location of a redirect', () => {
  it('keeps what is not named', () => {
    expect(redirectLocation(nothing, head({}), null)).toBe('http://cart.shop:8080/a/b?c=d');
  });

  it('leaves out the default port of the scheme', () => {
    const https = { ...nothing, scheme: 'https' };
    expect(redirectLocation(https, head({}), null)).toBe('https://cart.shop/a/b?c=d');
    expect(redirectLocation({ ...https, port: 443 }, head({}), null)).toBe(
      'https://cart.shop/a/b?c=d',
    );
    expect(redirectLocation({ ...nothing, port: 80 }, head({}), null)).toBe(
      'http://cart.shop/a/b?c=d',
    );
  });

  it('takes host, port and path from the policy', () => {
    const redirect = { ...nothing, host: 'new', port: 81, path: { prefix: '/x' } };
    expect(redirectLocation(redirect, head({}), '/a')).toBe('http://new:81/x/b?c=d');
  });

  it('takes an IPv6 authority apart', () => {
    expect(redirectLocation(nothing, head({ authority: '[::1]:81' }), null)).toBe(
      'http://[::1]:81/a/b?c=d',
    );
    expect(redirectLocation(nothing, head({ authority: '[::1]' }), null)).toBe(
      'http://[::1]/a/b?c=d',
    );
  });
});

describe('header changes', () => {
  it('set replaces all of a name, add keeps them, remove takes them away; the rest keeps its order', () => {
    const fields = ['a', '1', 'b', '2', 'a', '3', 'c', '4', 'd', '5'];
    const change = {
      set: [{ name: 'a', value: '9' }],
      add: [{ name: 'b', value: '8' }],
      remove: ['c'],
    };
    expect(changeFields(fields, change)).toEqual(['b', '2', 'd', '5', 'a', '9', 'b', '8']);
  });
});
