// Where the boxes of the graph stand: callers left, called right, as few crossings as a few passes give. The same graph
// always gets the same places, so that a live picture does not jump. Pure.

export interface Link {
  readonly from: string;
  readonly to: string;
}

export interface Place {
  /** Column from the left and row from the top, both from 0; rows may be halves. */
  readonly column: number;
  readonly row: number;
}

export interface Layout {
  readonly places: ReadonlyMap<string, Place>;
  readonly columns: number;
  readonly rows: number;
}

const passes = 6;

/** Links from or to what is not in `ids`, and from a box to itself, do not count. */
export function layoutOf(ids: readonly string[], links: readonly Link[]): Layout {
  const known = new Set(ids);
  const forward = withoutCycles(
    [...known].toSorted(),
    links.filter(({ from, to }) => from !== to && known.has(from) && known.has(to)),
  );
  const columns = columnsOf([...known].toSorted(), forward);
  for (let pass = 0; pass < passes; pass++) sweep(columns, forward, pass % 2 === 0);
  const rows = Math.max(0, ...columns.map((column) => column.length));
  const places = new Map<string, Place>();
  columns.forEach((column, at) => {
    const top = (rows - column.length) / 2;
    column.forEach((id, index) => places.set(id, { column: at, row: top + index }));
  });
  return { places, columns: columns.length, rows };
}

/** Links that lead back to where one came from are turned around: what is left has an order. */
function withoutCycles(ids: readonly string[], links: readonly Link[]): Link[] {
  const targets = groupBy(links, 'from', 'to');
  const state = new Map<string, 'open' | 'done'>();
  const result: Link[] = [];
  for (const start of ids) {
    if (state.has(start)) continue;
    state.set(start, 'open');
    const path = [{ id: start, next: 0 }];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const to = targets.get(top.id)?.[top.next++];
      if (to === undefined) {
        state.set(top.id, 'done');
        path.pop();
        continue;
      }
      const seen = state.get(to);
      result.push(seen === 'open' ? { from: to, to: top.id } : { from: top.id, to });
      if (seen !== undefined) continue;
      state.set(to, 'open');
      path.push({ id: to, next: 0 });
    }
  }
  return result;
}

/** A box stands one column right of the rightmost that calls it. */
function columnsOf(ids: readonly string[], links: readonly Link[]): string[][] {
  const targets = groupBy(links, 'from', 'to');
  const sources = groupBy(links, 'to', 'from');
  const waiting = new Map<string, number>(ids.map((id) => [id, sources.get(id)?.length ?? 0]));
  const columns: string[][] = [];
  let current = ids.filter((id) => waiting.get(id) === 0);
  while (current.length > 0) {
    columns.push(current);
    const next: string[] = [];
    for (const id of current) {
      for (const to of targets.get(id) ?? []) {
        const left = waiting.get(to)! - 1;
        waiting.set(to, left);
        if (left === 0) next.push(to);
      }
    }
    current = next.toSorted();
  }
  return columns;
}

/** Orders each column by the middle of what its boxes are linked to in the columns before (or behind) it. */
function sweep(columns: string[][], links: readonly Link[], rightwards: boolean): void {
  const linked = rightwards ? groupBy(links, 'to', 'from') : groupBy(links, 'from', 'to');
  const row = new Map<string, number>();
  for (const column of columns) {
    column.forEach((id, index) => row.set(id, index - (column.length - 1) / 2));
  }
  const order = rightwards ? columns : columns.toReversed();
  for (const column of order) {
    const middle = new Map(column.map((id) => [id, middleOf(id, linked, row)]));
    column.sort((a, b) => middle.get(a)! - middle.get(b)! || (a < b ? -1 : 1));
    column.forEach((id, index) => row.set(id, index - (column.length - 1) / 2));
  }
}

function middleOf(
  id: string,
  linked: ReadonlyMap<string, readonly string[]>,
  row: ReadonlyMap<string, number>,
): number {
  const others = linked.get(id) ?? [];
  if (others.length === 0) return row.get(id)!;
  return others.reduce((sum, other) => sum + row.get(other)!, 0) / others.length;
}

/** Each pair once, sorted. */
function groupBy(
  links: readonly Link[],
  key: keyof Link,
  value: keyof Link,
): Map<string, string[]> {
  const groups = new Map<string, Set<string>>();
  for (const link of links) {
    const group = groups.get(link[key]) ?? new Set();
    groups.set(link[key], group.add(link[value]));
  }
  return new Map([...groups].map(([id, others]) => [id, [...others].toSorted()]));
}
