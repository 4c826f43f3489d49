// Thousands of identities, with names as long as Kubernetes allows: how fast they are issued, and that an
// operator that starts again issues none of them anew.

import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { Secret } from '../resources/kubernetes.ts';
import { createCaKeeper, type CaKeeper } from './ca-secret.ts';
import { ensureIdentitySecret, maintainIdentitySecret } from './identity-secrets.ts';
import { MemoryApi, MemoryEvents } from './test-api.ts';

const identities = 5000;
/** What one core owes (issue of identity and security). */
const perSecond = 200;
const hour = 3_600_000;
const now = Date.UTC(2026, 10, 22, 12);
/** Kubernetes: 253 characters, labels of at most 63 between dots. */
const longest = 'a'.repeat(63);

function refOf(index: number) {
  const tail = String(index).padStart(5, '0');
  const serviceAccount = [longest, longest, longest, longest].join('.').slice(0, 248) + tail;
  return { namespace: `team-${index % 50}`, serviceAccount };
}

async function operatorOn(api: MemoryApi) {
  const events = new MemoryEvents();
  const keeper: CaKeeper = createCaKeeper({
    api,
    events,
    getMesh: () => null,
    knownRoots: async () => null,
  });
  await keeper.sync(now);
  return { api, events, ca: keeper, getMesh: () => null };
}

describe('five thousand identities', () => {
  it('are issued fast enough, with the longest names; an operator that starts again issues none', async () => {
    const api = new MemoryApi();
    const first = await operatorOn(api);
    // Time of this core, not of the clock on the wall: others may use the machine too.
    const begin = process.cpuUsage();
    for (let index = 0; index < identities; index += 1) {
      await ensureIdentitySecret(first, refOf(index), now);
    }
    const { user, system } = process.cpuUsage(begin);
    const seconds = (user + system) / 1e6;
    expect(identities / seconds).toBeGreaterThan(perSecond);
    // The CA is one more.
    expect(api.objects.size).toBe(identities + 1);
    const { writes } = api;

    const second = await operatorOn(api);
    for (let index = 0; index < identities; index += 1) {
      const { action } = await maintainIdentitySecret(second, refOf(index), now + hour);
      expect(action).toBe('keep');
    }
    expect(api.writes).toBe(writes);
    expect(second.events.seen).toEqual([]);
  }, 120_000);

  it('has the whole name in its certificate where the Secret has a shortened one', async () => {
    const operator = await operatorOn(new MemoryApi());
    const ref = refOf(7);
    expect(ref.serviceAccount).toHaveLength(253);
    const { secretName } = await ensureIdentitySecret(operator, ref, now);
    expect(secretName.length).toBeLessThanOrEqual(253);
    const secret = await operator.api.get<Secret>('Secret', ref.namespace, secretName);
    const pem = Buffer.from(secret!.data!['tls.crt']!, 'base64');
    const id = `spiffe://cluster.local/ns/${ref.namespace}/sa/${ref.serviceAccount}`;
    expect(new X509Certificate(pem).subjectAltName).toBe(`URI:${id}`);
  });
});
