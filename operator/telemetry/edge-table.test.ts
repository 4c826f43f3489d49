import { describe, expect, it } from '@jest/globals';
import { noTraffic } from '../../proxy/api/statistics.ts';
import { EdgeTable, maxFleetEdges, type EdgeRef } from './edge-table.ts';

const hourMs = 3_600_000;

function ref(namespace: string, index: number): EdgeRef {
  const from = { namespace, kind: 'Deployment', name: 'web' };
  const to = { namespace: '', kind: 'Outside', name: `host-${index}.example:80` };
  return { from, to, identity: null, service: null };
}

const counters = { ...noTraffic(), requests: 1 };

/** As one after the other they were told of, each with a request. */
function tell(table: EdgeTable, toldIn: string, count: number, fromMs = 0): boolean[] {
  return Array.from({ length: count }, (_, index) => {
    const edge = table.at(ref(toldIn, index), { teller: 'caller', toldIn }, fromMs + index);
    edge?.history.add(counters, fromMs + index, fromMs + index + 1);
    return edge !== null;
  });
}

function kept(table: EdgeTable): Record<string, number> {
  const byTeller = Map.groupBy(table.list(), ({ toldIn }) => toldIn);
  return Object.fromEntries([...byTeller].map(([name, edges]) => [name, edges.length]));
}

describe('the edges that are kept', () => {
  it('are as many as one namespace has, while no other needs room', () => {
    const table = new EdgeTable();
    const told = tell(table, 'shop', maxFleetEdges + 3);
    expect(told.filter((found) => !found)).toHaveLength(3);
    expect([kept(table), table.omitted(() => true)]).toEqual([{ shop: maxFleetEdges }, 3]);
  });

  it('are not taken from others by one that makes up names without end', () => {
    const table = new EdgeTable();
    tell(table, 'evil', maxFleetEdges * 2);
    expect(tell(table, 'shop', 10, 10_000)).not.toContain(false);
    expect(tell(table, 'pay', 1, 10_000)).toEqual([true]);
    tell(table, 'evil', maxFleetEdges * 2, 20_000);
    expect(kept(table)).toEqual({ evil: maxFleetEdges - 11, shop: 10, pay: 1 });
    expect(table.omitted(({ from }) => from.namespace === 'shop')).toBe(0);
    expect(table.omitted(() => true)).toBeLessThanOrEqual(maxFleetEdges);
  });

  it('are shared evenly by those that want more than there is, and the quietest go first', () => {
    const table = new EdgeTable();
    tell(table, 'one', maxFleetEdges);
    tell(table, 'two', maxFleetEdges, 10_000);
    expect(kept(table)).toEqual({ one: maxFleetEdges / 2, two: maxFleetEdges / 2 });
    const left = table.list().filter(({ toldIn }) => toldIn === 'one');
    expect(left[0]!.ref.to.name).toBe(`host-${maxFleetEdges / 2}.example:80`);
  });

  it('are forgotten after a time without traffic, and their room is free again', () => {
    const table = new EdgeTable();
    tell(table, 'shop', maxFleetEdges + 3);
    table.advance(hourMs + maxFleetEdges + 4, hourMs);
    expect([kept(table), table.omitted(() => true)]).toEqual([{}, 0]);
    expect(tell(table, 'pay', maxFleetEdges, hourMs * 2)).not.toContain(false);
  });
});
