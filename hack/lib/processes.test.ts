// Processes by name, the lock that counts on them, and commands.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mustRun, run } from './command.ts';
import { withLock } from './lock.ts';
import { isRunning, kill, processName, type ProcessName } from './processes.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsmesh-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function self(): ProcessName {
  const name = processName(process.pid);
  if (name === undefined) throw new Error('this process has no name');
  return name;
}

describe('a process name', () => {
  it('is that of the running process, and of no other with the same id', () => {
    expect(isRunning(self())).toBe(true);
    expect(isRunning({ ...self(), startTime: '1' })).toBe(false);
  });

  it('ends exactly the process that it names', async () => {
    const child = spawn('sleep', ['60']);
    const ended = once(child, 'exit');
    const name = processName(child.pid ?? 0);
    if (name === undefined) throw new Error('sleep did not start');
    kill({ ...name, startTime: '1' });
    expect(isRunning(name)).toBe(true);
    kill(name);
    await ended;
    expect(isRunning(name)).toBe(false);
  });
});

describe('a lock', () => {
  it('lets one in after the other', async () => {
    const path = join(folder, 'lock');
    const order: string[] = [];
    const enter = (name: string) =>
      withLock(path, 10_000, async () => {
        order.push(`${name} in`);
        await run('true', []);
        order.push(`${name} out`);
      });
    await Promise.all([enter('first'), enter('second')]);
    expect(order).toHaveLength(4);
    expect(order[0]?.slice(0, -3)).toBe(order[1]?.slice(0, -4));
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is free when its holder is gone, or never wrote who it was', async () => {
    const path = join(folder, 'lock');
    for (const content of [JSON.stringify({ ...self(), startTime: '1' }), '']) {
      writeFileSync(path, content);
      expect(await withLock(path, 1000, () => Promise.resolve('in'))).toBe('in');
    }
  });

  it('says who holds it when it takes too long', async () => {
    const path = join(folder, 'lock');
    writeFileSync(path, JSON.stringify(self()));
    const action = () => Promise.resolve(existsSync(path));
    await expect(withLock(path, 50, action)).rejects.toThrow(`lock ${path}: not within 0.05 s`);
  });
});

describe('a command', () => {
  it('answers with exit code and both outputs, and reads what it is given', async () => {
    const stdin = { text: 'hello' };
    const result = await run('sh', ['-c', 'cat; echo wrong >&2; exit 3'], { stdin });
    expect(result).toEqual({ code: 3, stdout: 'hello', stderr: 'wrong\n' });
  });

  it('that cannot be started or fails is an error with its own words', async () => {
    await expect(mustRun('tsmesh-no-such-program', [])).rejects.toThrow('ENOENT');
    await expect(mustRun('sh', ['-c', 'echo reason >&2; exit 1'])).rejects.toThrow('reason');
  });
});
