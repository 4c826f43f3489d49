// The whole table of PeerAuthentication: what is said at each level, what the operator makes of it, and what
// the two sidecars of a call then do. Pure: translation, the sidecar's store, and its decision about a caller.

import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  mesh,
  peerAuthentication,
  pod,
  service,
  slice,
  viewOf,
} from '../../operator/model/test-objects.ts';
import type { View } from '../../operator/model/view.ts';
import type { PeerAuthentication } from '../../operator/resources/tsmesh.ts';
import { translateEndpoints } from '../../operator/translate/endpoints.ts';
import { translateWorkload } from '../../operator/translate/workload.ts';
import type { Endpoint, MtlsMode } from '../../proxy/api/resources.ts';
import { proxyErrors } from '../../proxy/errors.ts';
import { portOf, refusalOf } from '../../proxy/inbound/plan.ts';
import type { PeerFacts } from '../../proxy/net/link.ts';
import { createStore } from '../../proxy/state/store.ts';
import type { PreparedWorkload } from '../../proxy/state/prepared.ts';

type Said = MtlsMode | 'UNSET' | 'nothing';

/** What is said at each level; ports can be named by a policy for the workload or for the namespace. */
interface Row {
  workloadPort: Said;
  namespacePort: Said;
  workload: Said;
  namespace: Said;
  mesh: MtlsMode;
}

const modes: readonly MtlsMode[] = ['STRICT', 'PERMISSIVE', 'DISABLE'];
const said: readonly Said[] = [...modes, 'UNSET', 'nothing'];
/** Pod ports by how they are declared to speak. */
const protocols = { http1: 8080, http2: 9090, tcp: 7000, auto: 7001 } as const;
const ports = Object.values(protocols);
const unnamed = 6000;

function allRows(): Row[] {
  return said.flatMap((workloadPort) =>
    said.flatMap((namespacePort) =>
      said.flatMap((workload) =>
        said.flatMap((namespace) =>
          modes.map((level) => ({ workloadPort, namespacePort, workload, namespace, mesh: level })),
        ),
      ),
    ),
  );
}

const servicePorts = [
  { name: 'http-web', port: 8080 },
  { name: 'grpc', port: 9090 },
  { name: 'tcp-line', port: 7000 },
  { name: 'any', port: 7001 },
  { name: 'unnamed', port: unnamed },
];

function policy(key: string, selected: boolean, mode: Said, portMode: Said): PeerAuthentication[] {
  if (mode === 'nothing' && portMode === 'nothing') return [];
  const spec: PeerAuthentication['spec'] = {};
  if (selected) spec.selector = { matchLabels: { app: 'cart' } };
  if (mode !== 'nothing') spec.mtls = { mode };
  if (portMode !== 'nothing') {
    spec.portLevelMtls = Object.fromEntries(ports.map((port) => [port, { mode: portMode }]));
  }
  return [peerAuthentication(key, spec)];
}

function viewFor(row: Row): View {
  return viewOf({
    Mesh: [mesh({ mtls: { mode: row.mesh } })],
    PeerAuthentication: [
      ...policy('shop/of-cart', true, row.workload, row.workloadPort),
      ...policy('shop/of-all', false, row.namespace, row.namespacePort),
    ],
    Pod: [pod('shop/cart-1', { ip: '10.0.0.1', labels: { app: 'cart' }, serviceAccount: 'cart' })],
    Service: [service('shop/cart', '10.96.0.1', servicePorts)],
    EndpointSlice: [
      slice(
        'shop/cart',
        [{ address: '10.0.0.1', pod: 'cart-1' }],
        servicePorts.map(({ name, port }) => ({ name, port })),
      ),
    ],
  });
}

interface Expected {
  mode: MtlsMode;
  decidedBy: string;
}

/** The rule in one sentence: port, workload, namespace, mesh; UNSET and nothing ask the next. */
function expectedAt(row: Row, isNamed: boolean): Expected {
  const ofPorts: [Said, string][] = [
    [row.workloadPort, 'PeerAuthentication shop/of-cart'],
    [row.namespacePort, 'PeerAuthentication shop/of-all'],
  ];
  const levels: [Said, string][] = [
    ...(isNamed ? ofPorts : []),
    [row.workload, 'PeerAuthentication shop/of-cart'],
    [row.namespace, 'PeerAuthentication shop/of-all'],
    [row.mesh, 'Mesh default'],
  ];
  const [mode, decidedBy] = levels.find(([one]) => one !== 'UNSET' && one !== 'nothing')!;
  return { mode: mode as MtlsMode, decidedBy };
}

/** What the callee's sidecar has in force. */
function workloadOf(view: View): PreparedWorkload {
  const store = createStore();
  const { resource } = translateWorkload(view, 'shop/cart-1')!;
  expect(store.apply([{ version: '1', resource }], [])).toEqual([]);
  return store.snapshot().workload!;
}

/** What the caller's sidecar is told of the callee. */
function endpointOf(view: View, port: number): Endpoint {
  return translateEndpoints(view, `shop/cart:${port}`).resource.endpoints[0]!;
}

const peer = { id: 'spiffe://cluster.local/ns/shop/sa/web' } as PeerFacts;

describe('for every mode at every level', () => {
  const rows = allRows();
  const found: { row: Row; view: View; workload: PreparedWorkload }[] = [];
  beforeAll(() => {
    for (const row of rows) {
      const view = viewFor(row);
      found.push({ row, view, workload: workloadOf(view) });
    }
  });

  it('the table is whole', () => {
    expect(found).toHaveLength(5 * 5 * 5 * 5 * 3);
  });

  it.each([...Object.entries(protocols), ['auto', unnamed] as const])(
    'a port of protocol %s (%d) has the mode of the first level that says one, and names it',
    (protocol, port) => {
      for (const { row, workload } of found) {
        const { mode, decidedBy } = expectedAt(row, port !== unnamed);
        expect({ row, ...portOf(workload, port) }).toEqual({
          row,
          protocol,
          mtls: mode,
          decidedBy,
        });
      }
    },
  );

  it('a caller without a sidecar is refused under STRICT only, in the words of who decided', () => {
    for (const { row, workload } of found) {
      for (const port of [...ports, unnamed]) {
        const { mode, decidedBy } = expectedAt(row, port !== unnamed);
        const refusal = refusalOf(portOf(workload, port), null);
        const wanted = mode === 'STRICT' ? ['mtls-required', decidedBy] : undefined;
        expect({
          row,
          port,
          refusal: refusal === null ? undefined : [refusal.code, refusal.detail],
        }).toEqual({ row, port, refusal: wanted });
      }
    }
    expect(proxyErrors['mtls-required']).toMatchObject({ httpStatus: 403, grpcStatus: 7 });
  });

  it('a caller with a sidecar is let in under every mode', () => {
    for (const { workload } of found) {
      for (const port of [...ports, unnamed]) {
        expect(refusalOf(portOf(workload, port), peer)).toBeNull();
      }
    }
  });

  it('and his sidecar speaks mutual TLS wherever that is not switched off', () => {
    const identity = 'spiffe://cluster.local/ns/shop/sa/cart';
    for (const { row, view } of found) {
      for (const port of [...ports, unnamed]) {
        const { mode } = expectedAt(row, port !== unnamed);
        const wanted = mode === 'DISABLE' ? null : identity;
        expect({ row, identity: endpointOf(view, port).identity }).toEqual({
          row,
          identity: wanted,
        });
      }
    }
  });
});
