// What the callee's sidecar knows of the caller besides its identity: the workload, told once a connection.
import http from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { call, listenOn, startPair, until, type MeshPair } from '../../test/support/mesh-pair.ts';
import { workload } from '../../test/support/sidecar.ts';
import { request } from '../codec/test-recorder.ts';
import { readSourceWorkload } from './mesh-fields.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** The fields that its app got come back as the answer. */
async function startShop(): Promise<MeshPair> {
  const app = http.createServer(({ rawHeaders }, response) => {
    response.end(JSON.stringify(rawHeaders));
  });
  const pair = await startPair(await listenOn(app));
  closers.push(() => {
    pair.close();
    app.close();
    app.closeAllConnections();
  });
  pair.caller.apply({ ...workload(), workload: 'web' });
  return pair;
}

function countedBy({ callee }: MeshPair): Record<string, number> {
  const [series] = callee.counters.snapshot('inbound');
  return Object.fromEntries((series?.cells ?? []).map((one) => [one.workload, one.requests]));
}

describe('the workload of a caller', () => {
  it('is counted for every request, is not shown to the app, and no app can say another', async () => {
    const pair = await startShop();
    const headers = { 'tsmesh-source-workload': 'other' };
    for (let i = 0; i < 3; i += 1) {
      const { body } = await call({ port: pair.caller.outbound.address.port, headers });
      expect(body.toString()).not.toContain('source-workload');
    }
    await until('all are counted', () => countedBy(pair)['web'] === 3);
    expect(countedBy(pair)).toEqual({ web: 3 });
  });

  it('is told again where a new connection is made, with the identity that came', async () => {
    const pair = await startShop();
    const { port } = pair.caller.outbound.address;
    await call({ port });
    pair.caller.identity.swap(pair.issue('caller'));
    await call({ port });
    await until('both are counted', () => countedBy(pair)['web'] === 2);
    expect(countedBy(pair)).toEqual({ web: 2 });
  });

  it.each(['', 'Web', 'a b', `x${'y'.repeat(300)}`, '-web'])(
    'is none where it reads %j',
    (text) => {
      const head = request({ fields: ['tsmesh-source-workload', text] });
      expect(readSourceWorkload(head)).toBe('');
    },
  );
});
