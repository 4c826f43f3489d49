import { describe, expect, it } from '@jest/globals';
import { mesh, peerAuthentication, pod, viewOf } from '../model/test-objects.ts';
import type { PodEntry, View } from '../model/view.ts';
import { translateWorkload } from '../translate/workload.ts';
import { effectiveModes } from './effective-modes.ts';

const ports = [{ containerPort: 8080 }, { containerPort: 9090 }];
const copies = (name: string, labels = {}) => ({
  labels: { app: name, ...labels },
  owner: { kind: 'StatefulSet', name },
  ports,
});

function modesOf(view: View, pods: PodEntry[] = [...view.pods.values()]) {
  return effectiveModes(pods, (one) => translateWorkload(view, one.key)!.resource.inbound);
}

describe('the modes in force', () => {
  it('stand by workload and port with who decided them; copies that differ stand apart', () => {
    const view = viewOf({
      Mesh: [mesh({ mtls: { mode: 'PERMISSIVE' } })],
      PeerAuthentication: [
        peerAuthentication('shop/v2', {
          selector: { matchLabels: { version: 'v2' } },
          portLevelMtls: { 9090: { mode: 'DISABLE' }, 7000: { mode: 'STRICT' } },
        }),
      ],
      Pod: [
        pod('shop/cart-0', copies('cart')),
        pod('shop/cart-1', copies('cart')),
        pod('shop/cart-2', copies('cart', { version: 'v2' })),
        pod('shop/db', { annotations: { 'tsmesh.dev/exclude-inbound-ports': '5432' } }),
      ],
    });
    const byMesh = { mode: 'PERMISSIVE', decidedBy: 'Mesh default' };
    const byPolicy = (mode: string) => ({ mode, decidedBy: 'PeerAuthentication shop/v2' });
    expect(modesOf(view)).toEqual([
      {
        workload: 'Pod/db',
        pods: 1,
        ready: 1,
        ports: [
          {
            port: '5432',
            mode: 'NotCaptured',
            decidedBy: 'annotation tsmesh.dev/exclude-inbound-ports',
          },
          { port: 'other', ...byMesh },
        ],
      },
      {
        workload: 'StatefulSet/cart',
        pods: 1,
        ready: 1,
        ports: [
          { port: '7000', ...byPolicy('STRICT') },
          { port: '8080', ...byMesh },
          { port: '9090', ...byPolicy('DISABLE') },
          { port: 'other', ...byMesh },
        ],
      },
      {
        workload: 'StatefulSet/cart',
        pods: 2,
        ready: 2,
        ports: [
          { port: '8080', ...byMesh },
          { port: '9090', ...byMesh },
          { port: 'other', ...byMesh },
        ],
      },
    ]);
  });

  it('leave out a pod that is gone', () => {
    const view = viewOf({ Pod: [pod('shop/a')] });
    expect(effectiveModes([...view.pods.values()], () => null)).toEqual([]);
  });
});
