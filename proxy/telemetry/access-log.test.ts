import { describe, expect, it } from '@jest/globals';
import { accessLogOff, createAccessLog, type AccessEntry } from './access-log.ts';
import { entryWith } from './test-entry.ts';

const entry = entryWith();
const all = { ...accessLogOff, mode: 'all' } as const;

function fixture(tap = { active: false, take: (_entry: AccessEntry): void => {} }) {
  const written: string[] = [];
  const turns: (() => void)[] = [];
  const output = { full: false, drained: (): void => {} };
  const dice = { next: 0 };
  const log = createAccessLog({
    output: {
      write(text) {
        written.push(text);
        return !output.full;
      },
      once: (_event, listener) => (output.drained = listener),
    },
    wallTimeMs: () => 0,
    afterTurn: (run) => void turns.push(run),
    random: () => dice.next,
    self: () => 'spiffe://cluster.local/ns/shop/sa/cart',
    tap,
  });
  const turn = (): void => turns.splice(0).forEach((run) => run());
  return { log, written, output, turn, dice };
}

describe('the access log', () => {
  it('wants what its mode names', () => {
    const { log } = fixture();
    const wants = () => [log.wants(false), log.wants(true)];
    expect(wants()).toEqual([false, false]);
    log.set({ ...accessLogOff, mode: 'errors' });
    expect(wants()).toEqual([false, true]);
    log.set(all);
    expect(wants()).toEqual([true, true]);
  });

  it('takes its share of what did not fail, and everything that did', () => {
    const { log, dice } = fixture();
    log.set({ ...all, sampling: 0.5 });
    dice.next = 0.0049;
    expect(log.wants(false)).toBe(true);
    dice.next = 0.005;
    expect([log.wants(false), log.wants(true)]).toEqual([false, true]);
    log.set({ ...all, sampling: 0 });
    dice.next = 0;
    expect([log.wants(false), log.wants(true)]).toEqual([false, true]);
  });

  it('writes the entries of one turn together, one line each, with its own identity', () => {
    const { log, written, turn } = fixture();
    log.write(entry);
    log.write({ ...entry, path: '/a\nb' });
    expect(written).toEqual([]);
    turn();
    expect(written).toHaveLength(1);
    const lines = written[0]!
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AccessEntry & { self: string });
    expect(lines.map(({ path }) => path)).toEqual(['/items', '/a\nb']);
    expect(lines[0]!.self).toBe('spiffe://cluster.local/ns/shop/sa/cart');
  });

  it('changes its format between two lines', () => {
    const { log, written, turn } = fixture();
    log.set({ ...all, format: 'text' });
    log.write(entry);
    log.set(all);
    log.write(entry);
    turn();
    const [text, json] = written[0]!.split('\n');
    expect(text).toMatch(/^1970-01-01T00:00:00.000Z inbound .* "GET cart \/items" 200 - 1ms 0 0 /);
    expect(JSON.parse(json!)).toMatchObject({ access: true, path: '/items' });
  });

  it('drops and counts what does not fit while the output is slow, and goes on after', () => {
    const { log, written, output, turn } = fixture();
    output.full = true;
    for (let i = 0; i < 10_000; i += 1) log.write(entry);
    turn();
    expect(written).toHaveLength(1);
    expect(log.dropped()).toBeGreaterThan(0);
    output.full = false;
    output.drained();
    const lines = written.join('').trimEnd().split('\n').length;
    expect(lines + log.dropped()).toBe(10_000);
    log.write(entry);
    turn();
    expect(written.join('').trimEnd().split('\n')).toHaveLength(lines + 1);
  });
});
