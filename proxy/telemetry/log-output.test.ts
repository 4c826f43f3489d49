import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { LogOutput } from './log-output.ts';

describe('the log of a sidecar', () => {
  it('is bounded while nobody reads it, and says what was lost once somebody does', () => {
    const taken: string[] = [];
    let go: (() => void) | null = null;
    let stuck = true;
    const stream = new Writable({
      write(chunk: Buffer, _, done) {
        taken.push(chunk.toString());
        if (stuck) go = done;
        else done();
      },
    });
    const output = new LogOutput(stream);
    const line = `${'x'.repeat(999)}\n`;
    for (let i = 0; i < 1000; i += 1) output.write(line);
    const lost = output.dropped;
    expect(lost).toBeGreaterThan(700);
    expect(stream.writableLength).toBeLessThan(300 * 1024);
    stuck = false;
    (go as (() => void) | null)?.();
    output.write('again\n');
    expect(taken.slice(-2)).toEqual([expect.stringContaining(`"lost":${lost}`), 'again\n']);
    output.write('and again\n');
    expect(taken.at(-1)).toBe('and again\n');
  });

  it('does not end the process where the disk behind it is full', () => {
    const module = join(import.meta.dirname, 'log-output.ts');
    const script = `
      const { LogOutput } = await import(${JSON.stringify(module)});
      const output = new LogOutput(process.stdout);
      for (let i = 0; i < 20; i += 1) output.write('line\\n');
      setTimeout(() => process.exit(output.dropped > 0 ? 42 : 1), 100);`;
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--no-warnings', '--input-type=module', '-e', script],
      { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] },
    );
    expect([status, stderr.toString()]).toEqual([42, '']);
  });
});
