import { describe, expect, it } from '@jest/globals';
import type { HeldResource, StreamState } from '../discovery/stream-state.ts';
import { namespace, pod, viewOf } from '../model/test-objects.ts';
import type { ObjectKey } from '../model/view.ts';
import { sidecarRows, type SidecarRow } from './sidecars.ts';

function stream(key: string, given: Partial<StreamState> = {}): StreamState {
  const [space = '', name = ''] = key.split('/');
  return {
    pod: { namespace: space, name, uid: `uid-pod-${space}-${name}` },
    replica: 'operator-1',
    connectedAtMs: 5,
    proxyVersion: '0.1.0',
    draining: false,
    subscriptions: ['10.0.0.1:80'],
    resources: [],
    statistics: null,
    statisticsAtMs: 0,
    ...given,
  };
}

const refused: HeldResource = {
  key: 'Destination/10.0.0.1:80',
  acked: null,
  ackedBy: null,
  sent: null,
  sentBy: null,
  rejected: { version: '1', path: '/routes/0', message: 'must be there' },
};

function rows(synced: string[], streams: StreamState[], pods = [pod('shop/a')]): SidecarRow[] {
  const view = viewOf({
    Namespace: [namespace('shop', { 'tsmesh.dev/inject': 'enabled' }), namespace('bare')],
    Pod: pods,
  });
  return sidecarRows({ view, streams, inSync: new Set(synced as ObjectKey[]) });
}

function stateOf(pods: ReturnType<typeof pod>[], streams: StreamState[], synced: string[] = []) {
  return rows(synced, streams, pods).map(({ pod: name, state }) => `${name} ${state}`);
}

describe('how a sidecar stands with the operator', () => {
  it('is told with all that a person asks first', () => {
    expect(rows(['shop/a'], [stream('shop/a')])).toEqual([
      {
        namespace: 'shop',
        pod: 'a',
        workload: 'Pod/a',
        state: 'synced',
        version: '0.1.0',
        replica: 'operator-1',
        connectedAtMs: 5,
        certificateEndMs: null,
        destinations: 1,
        rejections: [],
      },
    ]);
  });

  it('is in one word', () => {
    const a = [pod('shop/a')];
    expect(stateOf(a, [stream('shop/a')])).toEqual(['a syncing']);
    expect(stateOf(a, [])).toEqual(['a disconnected']);
    expect(stateOf([pod('shop/a', { ready: false })], [])).toEqual(['a starting']);
    expect(stateOf([pod('shop/a', { deleted: true })], [])).toEqual(['a draining']);
    expect(stateOf(a, [stream('shop/a', { draining: true })], ['shop/a'])).toEqual(['a draining']);
    expect(stateOf([pod('shop/a', { meshed: false })], [])).toEqual(['a none']);
  });

  it('names what was refused', () => {
    const [row] = rows([], [stream('shop/a', { resources: [refused] })]);
    expect(row).toMatchObject({
      state: 'rejected',
      rejections: ['Destination/10.0.0.1:80 at /routes/0: must be there'],
    });
  });

  it('is that of the pod that lives, and of the later of two streams', () => {
    const before = stream('shop/a', { pod: { namespace: 'shop', name: 'a', uid: 'before' } });
    expect(stateOf([pod('shop/a')], [before])).toEqual(['a disconnected']);
    const later = stream('shop/a', { connectedAtMs: 9 });
    expect(rows([], [later, stream('shop/a')])[0]?.connectedAtMs).toBe(9);
  });

  it('is asked of pods that should have one, and of no others', () => {
    const pods = [
      pod('shop/b'),
      pod('shop/a'),
      pod('bare/c', { meshed: false }),
      pod('shop/node', { meshed: false, hostNetwork: true }),
      pod('shop/done', { phase: 'Succeeded' }),
    ];
    expect(stateOf(pods, [])).toEqual(['a disconnected', 'b disconnected']);
  });
});
