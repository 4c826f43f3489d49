import { describe, expect, it } from '@jest/globals';
import type { EdgeStatus, MeshStatusStatus } from '../resources/tsmesh.ts';
import { differenceOf } from './row-change.ts';

const figures = {
  requestRate: '100',
  successRate: '99.9',
  p50: '10ms',
  p99: '100ms',
  mtlsPercent: '100',
};
const edge: EdgeStatus = { from: 'shop/Pod/a', to: 'shop/Pod/b', protocol: 'http', ...figures };

function status(given: Partial<MeshStatusStatus> = {}): MeshStatusStatus {
  return {
    columns: { synced: '1/1' } as MeshStatusStatus['columns'],
    window: { end: '2026-06-01T00:00:00Z', seconds: 60 },
    proxies: '1/1',
    readyProxies: 1,
    wantedProxies: 1,
    inSync: 1,
    ...figures,
    requests: 1000,
    failures: 1,
    connections: 0,
    denied: 0,
    workloads: [{ workload: 'Pod/a', pods: 1, ready: 1, traffic: figures, ports: [] }],
    edges: [edge, { ...edge, to: 'shop/Pod/c' }],
    ...given,
  };
}

const workload = (given: object) => [{ ...status().workloads![0]!, ...given }];

describe('a change of a row', () => {
  it.each<[string, Partial<MeshStatusStatus>, string]>([
    ['nothing', {}, 'none'],
    ['only the time', { window: { end: 'x', seconds: 30 } }, 'none'],
    ['a column', { columns: { synced: '0/1' } as never }, 'shown'],
    ['a list', { staleSidecars: [{ pod: 'p', workload: 'w', reason: 'r' }] }, 'shown'],
    ['ready pods of a workload', { workloads: workload({ ready: 0 }) }, 'shown'],
    ['a rate by 0.9 %', { requestRate: '100.9' }, 'trifle'],
    ['a rate by 2 %', { requestRate: '102' }, 'figures'],
    ['a rate from nothing', { deniedRate: '0.1' }, 'figures'],
    ['a share by 0.9 points', { successRate: '99' }, 'trifle'],
    ['a share by 2 points', { successRate: '97.9' }, 'figures'],
    ['a share to none', { successRate: '-' }, 'figures'],
    ['a time by 4 %', { p99: '104ms' }, 'trifle'],
    ['a time by 6 %', { p99: '106.5ms' }, 'figures'],
    ['a time in another unit', { p99: '1.02s' }, 'figures'],
    ['a total by a little', { requests: 1004 }, 'trifle'],
    ['a first failure', { failures: 0 }, 'figures'],
    [
      'a workload’s figure',
      { workloads: workload({ traffic: { ...figures, p50: '20ms' } }) },
      'figures',
    ],
    ['an edge’s figure', { edges: [edge, { ...edge, to: 'shop/Pod/c', p50: '20ms' }] }, 'figures'],
    ['the order of edges', { edges: status().edges!.toReversed() }, 'none'],
    ['an edge less', { edges: [edge] }, 'figures'],
    ['another edge', { edges: [edge, { ...edge, to: 'shop/Pod/d' }] }, 'figures'],
    ['how many are omitted', { edgesOmitted: 1 }, 'figures'],
  ])('in %s', (_, change, expected) => {
    expect(differenceOf(status(), status(change))).toBe(expected);
  });
});
