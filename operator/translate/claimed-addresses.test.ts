// What a Service may say of addresses that are not its own: nothing that takes them from their owners.

import { describe, expect, it } from '@jest/globals';
import { mesh, pod, service, viewOf } from '../model/test-objects.ts';
import { translateDestination } from './destination.ts';

const older = '2025-01-01T00:00:00Z';

/** A Service of another namespace, older than its victims, with the addresses of others in externalIPs. */
function thief(address: string) {
  const one = service('evil/thief', '10.96.6.6', [{ port: 80 }], { externalIPs: [address] });
  return { ...one, metadata: { ...one.metadata, creationTimestamp: older } };
}

function meaningOf(address: string) {
  const view = viewOf({
    Mesh: [mesh({})],
    Pod: [pod('bank/vault-1', { ip: '10.244.0.9', serviceAccount: 'vault' })],
    Service: [thief(address), service('bank/vault', '10.96.0.9', [{ port: 80 }])],
  });
  const { kind, host } = translateDestination(view, 'shop', address, 80).resource;
  return { kind, host };
}

describe('a Service that lists addresses of others in externalIPs', () => {
  it('does not get the traffic to the ClusterIP of another Service', () => {
    expect(meaningOf('10.96.0.9')).toEqual({ kind: 'service', host: 'vault.bank:80' });
  });

  it('does not get the traffic to a pod', () => {
    expect(meaningOf('10.244.0.9')).toEqual({ kind: 'pod', host: 'vault-1.bank:80' });
  });

  it('gets the traffic to an address that nobody else has', () => {
    expect(meaningOf('192.0.2.1')).toEqual({ kind: 'service', host: 'thief.evil:80' });
  });
});
