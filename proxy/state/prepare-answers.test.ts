// What a route may not say of its answers, and where its author is told.
import { describe, expect, it } from '@jest/globals';
import { prepareRoute } from './prepare-route.ts';
import { ShapeError } from './reader.ts';

function faultOf(over: object): string {
  try {
    prepareRoute({ name: 'r', backends: [], ...over }, '/routes/0');
    return 'good';
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    return `${error.path.replace('/routes/0/', '')}: ${error.message}`;
  }
}

const cors = { allowOrigins: ['https://a'], allowCredentials: false };
const direct = { status: 200, body: '', contentType: 'text/plain' };
const percentText = 'must be a number from 0 to 100';

describe('a route', () => {
  it.each([
    [{ mirrors: [{ endpoints: 'a', percent: 0.1 }] }, 'good'],
    [{ mirrors: [{ endpoints: 'a', percent: 100.1 }] }, `mirrors/0/percent: ${percentText}`],
    [{ mirrors: [{ endpoints: 'a', percent: Number.NaN }] }, `mirrors/0/percent: ${percentText}`],
    [{ mirrors: [{ endpoints: 'a' }] }, `mirrors/0/percent: ${percentText}`],
    [{ mirrors: [{ percent: 1 }] }, 'mirrors/0/endpoints: must be a string'],
    [
      { mirrors: Array.from({ length: 17 }, () => ({ endpoints: 'a', percent: 1 })) },
      'mirrors: more than 16',
    ],
    [{ fault: { delay: { ms: 1, percent: -1 } } }, `fault/delay/percent: ${percentText}`],
    [{ fault: { delay: { ms: 1e12, percent: 1 } } }, 'fault/delay/ms: must be from 1 to 3600000'],
    [
      { fault: { abort: { status: 101, grpcCode: null, percent: 1 } } },
      'fault/abort/status: must be from 200 to 599',
    ],
    [
      { fault: { abort: { status: null, grpcCode: 17, percent: 1 } } },
      'fault/abort/grpcCode: must be from 0 to 16',
    ],
    [{ fault: { abort: { percent: 1 } } }, 'fault/abort: needs status or grpcCode'],
    [{ directResponse: direct }, 'good'],
    [
      { directResponse: { ...direct, status: 199 } },
      'directResponse/status: must be from 200 to 599',
    ],
    [
      { directResponse: { ...direct, body: 'x'.repeat(65_537) } },
      'directResponse/body: longer than 65536 characters',
    ],
    [
      { directResponse: { ...direct, contentType: 'a\r\nset-cookie: b' } },
      'directResponse/contentType: holds a character that no header may hold',
    ],
    [{ cors }, 'good'],
    [
      { cors: { ...cors, allowOrigins: ['https://*.*'] } },
      'cors/allowOrigins/0: may have one * only',
    ],
    [{ cors: { ...cors, allowMethods: ['GET, PUT'] } }, 'cors/allowMethods/0: is not a name'],
    [{ cors: { ...cors, allowHeaders: ['a\nb'] } }, 'cors/allowHeaders/0: is not a name'],
    [{ cors: { allowOrigins: [] } }, 'cors/allowCredentials: must be true or false'],
    [{ cors: { ...cors, maxAgeSeconds: -1 } }, 'cors/maxAgeSeconds: must be from 0 to 86400'],
    [
      { matches: [{ source: { labels: { app: 1 } } }] },
      'matches/0/source/labels/app: must be a string',
    ],
    [
      { backends: [{ endpoints: 'a', weight: 1, missing: 1 }] },
      'backends/0/missing: must be a string',
    ],
  ])('of %j is told: %s', (over, expected) => {
    expect(faultOf(over)).toBe(expected);
  });
});
