import { describe, expect, it } from '@jest/globals';
import { createAccessLog, type AccessEntry } from './access-log.ts';

const entry: AccessEntry = {
  direction: 'inbound',
  destination: '8080',
  endpoint: '',
  route: '',
  method: 'GET',
  authority: 'cart',
  path: '/items',
  status: 200,
  grpcStatus: -1,
  peer: '',
  peerAddress: '10.0.0.9',
  mtls: true,
  requestId: 'r1',
  durationMs: 1,
  attempts: 1,
  sentBytes: 0,
  receivedBytes: 0,
  flag: '',
  detail: '',
};

function fixture(tap = { active: false, take: (_entry: AccessEntry): void => {} }) {
  const written: string[] = [];
  const turns: (() => void)[] = [];
  const output = { full: false, drained: (): void => {} };
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
    tap,
  });
  const turn = (): void => turns.splice(0).forEach((run) => run());
  return { log, written, output, turn };
}

describe('the access log', () => {
  it('wants what its mode names', () => {
    const { log } = fixture();
    const wants = () => [log.wants(false), log.wants(true)];
    expect(wants()).toEqual([false, false]);
    log.setMode('errors');
    expect(wants()).toEqual([false, true]);
    log.setMode('all');
    expect(wants()).toEqual([true, true]);
  });

  it('writes the entries of one turn together, one line each', () => {
    const { log, written, turn } = fixture();
    log.write(entry);
    log.write({ ...entry, path: '/a\nb' });
    expect(written).toEqual([]);
    turn();
    expect(written).toHaveLength(1);
    const lines = written[0]!
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AccessEntry);
    expect(lines.map(({ path }) => path)).toEqual(['/items', '/a\nb']);
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
