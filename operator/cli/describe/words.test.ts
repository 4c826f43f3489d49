import { describe, expect, it } from '@jest/globals';
import { route } from '../../../test/support/sidecar.ts';
import type { HttpRoute } from '../../../proxy/api/resources.ts';
import { routeWords } from './words.ts';

describe('a redirect in words', () => {
  const same = { scheme: null, host: null, port: null, path: null, status: 302 } as const;
  it.each([
    [
      { scheme: 'https', host: 'shop.example', port: 8443, path: { prefix: '/new' } },
      'https://shop.example:8443/new/…',
    ],
    [{ path: { full: '/products' } }, '/products'],
    [{ scheme: 'https' }, 'https://<host><path>'],
    [{ port: 99 }, '<host>:99<path>'],
    [{ host: 'shop.example' }, 'shop.example<path>'],
    [{}, '<path>'],
  ] as const)('%j leads to %s', (given, words) => {
    const redirect = { ...same, ...given } as HttpRoute['redirect'];
    expect(routeWords(route({ redirect }), '')[0]).toBe(`redirected with 302 to ${words}`);
  });
});
