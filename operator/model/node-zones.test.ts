import { describe, expect, it } from '@jest/globals';
import { NodeZones } from './node-zones.ts';
import { slice } from './test-objects.ts';

const says = (...places: [node: string, zone: string][]) =>
  slice(
    'shop/a',
    places.map(([node, zone]) => ({ address: '10.0.0.1', node, zone })),
    [{ port: 80 }],
  );

describe('zones of nodes', () => {
  it('hold as long as any slice says so, and change once', () => {
    const zones = new NodeZones();
    expect(zones.replace('s1', says(['n1', 'x'], ['n2', 'y'], ['n1', 'x']))).toEqual(['n1', 'n2']);
    expect(zones.replace('s2', says(['n1', 'x']))).toEqual([]);
    expect(zones.replace('s1', says(['n2', 'y']))).toEqual([]);
    expect(zones.snapshot()).toEqual(
      new Map([
        ['n1', 'x'],
        ['n2', 'y'],
      ]),
    );
    expect(zones.replace('s2', null)).toEqual(['n1']);
    expect(zones.replace('s1', says(['n2', 'z']))).toEqual(['n2']);
    expect(zones.snapshot()).toEqual(new Map([['n2', 'z']]));
    expect(zones.replace('s3', null)).toEqual([]);
  });

  it('are the first by name where slices differ, whichever came first', () => {
    const [one, two] = [new NodeZones(), new NodeZones()];
    one.replace('s1', says(['n1', 'y']));
    one.replace('s2', says(['n1', 'x']));
    two.replace('s2', says(['n1', 'x']));
    two.replace('s1', says(['n1', 'y']));
    expect(one.snapshot()).toEqual(two.snapshot());
    expect(one.snapshot()).toEqual(new Map([['n1', 'x']]));
  });

  it('are not known of endpoints without a node or a zone, nor of a slice without endpoints', () => {
    const zones = new NodeZones();
    const empty = { ...says(), endpoints: null as unknown as [] };
    expect(zones.replace('s1', empty)).toEqual([]);
    expect(zones.replace('s1', slice('shop/a', [{ address: '10.0.0.1', node: 'n' }], []))).toEqual(
      [],
    );
    expect(zones.replace('s1', slice('shop/a', [{ address: '10.0.0.1', zone: 'z' }], []))).toEqual(
      [],
    );
  });
});
