import { describe, expect, it } from '@jest/globals';
import { createModel } from '../model/model.ts';
import { ManualClock, fill, pod, slice, trafficPolicy } from '../model/test-objects.ts';
import { createTranslations } from './translations.ts';

const labels = { app: 'web', tier: 'front', 'pod-template-hash': 'x' };

function setUp() {
  const model = createModel({ clock: new ManualClock() });
  const translations = createTranslations();
  model.onView((view, change) => translations.advance(view, change));
  const node = { nodeName: 'n1' };
  fill(model, {
    Pod: [{ ...pod('web/a', { ip: '10.0.0.1', labels }) }, pod('web/b', { labels, ...node })],
  });
  model.flush();
  const workload = (key: string) => translations.workload(key)!;
  return { model, workload };
}

function policyFor(source: object) {
  return trafficPolicy('shop/p', {
    service: { name: 'cart' },
    routes: [{ matches: [{ source }] }],
  });
}

describe('what a sidecar is told of its own pod', () => {
  it('are the labels that some policy asks for, and no others', () => {
    const { model, workload } = setUp();
    const before = workload('web/a');
    expect(before.resource).not.toHaveProperty('labels');
    model.upsert('TrafficPolicy', policyFor({ labels: { tier: 'back', app: 'other' } }));
    model.flush();
    expect(workload('web/a').version).toBe(before.version);
    model.upsert('TrafficPolicy', policyFor({ labels: { tier: 'front', app: 'other' } }));
    model.flush();
    const asked = workload('web/a');
    expect(asked.resource).toMatchObject({ labels: { tier: 'front' } });
    expect(asked.shapedBy).toMatchObject([{ kind: 'TrafficPolicy', name: 'p' }]);
    model.remove('TrafficPolicy', 'shop', 'p');
    model.flush();
    expect(workload('web/a').version).toBe(before.version);
  });

  it('is the zone that slices tell of its node', () => {
    const { model, workload } = setUp();
    expect(workload('web/b').resource).not.toHaveProperty('zone');
    const endpoint = { address: '10.0.0.9', zone: 'east', node: 'n1' };
    model.upsert('EndpointSlice', slice('shop/dns', [endpoint], [{ port: 53 }]));
    model.flush();
    expect(workload('web/b').resource).toMatchObject({ zone: 'east' });
    expect(workload('web/a').resource).not.toHaveProperty('zone');
    model.upsert(
      'EndpointSlice',
      slice('shop/dns', [{ ...endpoint, zone: 'west' }], [{ port: 53 }]),
    );
    model.flush();
    expect(workload('web/b').resource).toMatchObject({ zone: 'west' });
    model.remove('EndpointSlice', 'shop', 'dns-1');
    model.flush();
    expect(workload('web/b').resource).not.toHaveProperty('zone');
  });

  it('is the zone that its own label says, before anybody else', () => {
    const { model, workload } = setUp();
    const zoned = { ...labels, 'topology.kubernetes.io/zone': 'north' };
    model.upsert('Pod', pod('web/a', { labels: zoned }));
    model.flush();
    expect(workload('web/a').resource).toMatchObject({ zone: 'north' });
  });
});
