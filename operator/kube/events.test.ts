import { describe, expect, it } from '@jest/globals';
import type { ApiClient } from '../resources/api-client.ts';
import type { KubeObject } from '../resources/kubernetes.ts';
import { ManualClock } from '../runtime/test-clock.ts';
import { createEventRecorder, type EventObject } from './events.ts';

const pod = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart', uid: 'u1' };

/** Events as the API server has them: created, then merged with patches. */
function recorder(fails = false) {
  const events: EventObject[] = [];
  const warnings: string[] = [];
  const logger = { debug() {}, info() {}, warn: (m: string) => warnings.push(m), error() {} };
  const clock = new ManualClock();
  let writes = 0;
  const write = () => {
    writes += 1;
    if (fails) throw new Error('no answer');
  };
  const api: Pick<ApiClient, 'create' | 'patch'> = {
    async create<T extends KubeObject>(_kind: string, object: T) {
      write();
      events.push(object as unknown as EventObject);
      return object;
    },
    async patch<T extends KubeObject>(target: { name: string }, patch: object) {
      write();
      const known = events.find((event) => event.metadata.name === target.name)!;
      return Object.assign(known, patch) as unknown as T;
    },
  };
  let count = 0;
  const uniqueSuffix = () => String((count += 1));
  const deps = { api: api as ApiClient, clock, logger, instance: 'operator-1', uniqueSuffix };
  return { events, warnings, clock, recorder: createEventRecorder(deps), writes: () => writes };
}

describe('the event recorder', () => {
  it('writes what happened to whom, in the namespace of the object', async () => {
    const { recorder: events, clock, events: written } = recorder();
    events.event(pod, 'Warning', 'InjectionRefused', 'user id 15086 is taken');
    await clock.advance(0);
    expect(written).toHaveLength(1);
    expect(written[0]).toMatchObject({
      metadata: { namespace: 'shop' },
      type: 'Warning',
      reason: 'InjectionRefused',
      note: 'user id 15086 is taken',
      regarding: { kind: 'Pod', name: 'cart', namespace: 'shop', uid: 'u1' },
      reportingController: 'tsmesh.dev/operator',
      reportingInstance: 'operator-1',
    });
  });

  it('counts a repeated event on the first one, and writes that now and then only', async () => {
    const { recorder: events, clock, events: written, writes } = recorder();
    for (let i = 0; i < 100; i += 1) {
      events.event(pod, 'Normal', 'Skipped', 'opted out');
      await clock.advance(1_000);
    }
    expect(written).toHaveLength(1);
    expect(written[0]?.series?.count).toBeGreaterThanOrEqual(90);
    expect(writes()).toBeLessThan(8);
  });

  it('writes a new event when the series was long ago', async () => {
    const { recorder: events, clock, events: written } = recorder();
    events.event(pod, 'Normal', 'Skipped', 'opted out');
    await clock.advance(3_600_000);
    events.event(pod, 'Normal', 'Skipped', 'opted out');
    await clock.advance(0);
    expect(written).toHaveLength(2);
  });

  it('writes of cluster-scoped objects in the namespace default, as the API demands', async () => {
    const { recorder: events, clock, events: written } = recorder();
    const mesh = {
      apiVersion: 'tsmesh.dev/v1alpha1',
      kind: 'Mesh',
      namespace: '',
      name: 'default',
    };
    events.event(mesh, 'Warning', 'CAKeyLost', 'x'.repeat(5_000));
    await clock.advance(0);
    expect(written[0]?.metadata.namespace).toBe('default');
    expect(written[0]?.regarding).not.toHaveProperty('namespace');
    expect(written[0]?.note).toHaveLength(1_024);
  });

  it('says in the log that an event was not written, and goes on', async () => {
    const { recorder: events, clock, warnings } = recorder(true);
    events.event(pod, 'Normal', 'Skipped', 'opted out');
    events.event(pod, 'Normal', 'Skipped', 'opted out');
    await clock.advance(0);
    expect(warnings).toHaveLength(2);
  });
});
