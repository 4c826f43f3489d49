import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestClock } from '../net/test-clock.ts';
import { createLogger } from '../telemetry/logger.ts';
import { socketsOfUser, watchForeignSockets } from './foreign-sockets.ts';

const header =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

/** A line of /proc/net/tcp. */
function socket(userId: number, inode: number, state = '0A'): string {
  const queues = '00000000:00000000 00:00000000 00000000';
  return `   0: 00000000:1F90 00000000:0000 ${state} ${queues} ${userId} 0 ${inode} 1`;
}

let proc: string;

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'tsmesh-proc-'));
  mkdirSync(join(proc, 'self/net'), { recursive: true });
  mkdirSync(join(proc, 'self/fd'));
  symlinkSync('/dev/null', join(proc, 'self/fd/0'));
});

afterEach(() => rmSync(proc, { recursive: true, force: true }));

function kernelHas(...lines: string[]): void {
  writeFileSync(join(proc, 'self/net/tcp'), [header, ...lines, ''].join('\n'));
}

function sidecarHas(inode: number): void {
  symlinkSync(`socket:[${inode}]`, join(proc, `self/fd/${inode}`));
}

function watch() {
  const logged: string[] = [];
  const clock = createTestClock();
  const foreign = watchForeignSockets({
    userId: 15086,
    procDirectory: proc,
    clock,
    logger: createLogger({
      level: 'info',
      wallTimeMs: () => 0,
      write: (line) => void logged.push(line),
    }),
  });
  return { foreign, logged, clock };
}

describe('sockets of the user id of the sidecar', () => {
  it('are read from the kernel’s table, but for closed ones and those of other users', () => {
    const lines = [header, socket(15086, 101), socket(1000, 102), socket(15086, 0, '06'), ''];
    expect([...socketsOfUser(lines.join('\n'), 15086).keys()]).toEqual(['101']);
    expect(socketsOfUser('', 15086).size).toBe(0);
  });

  it('that are not its own are reported once, when they are seen a second time', async () => {
    kernelHas(socket(15086, 101), socket(15086, 102));
    sidecarHas(101);
    const { foreign, logged } = watch();
    await foreign.look();
    expect(logged).toEqual([]);
    await foreign.look();
    await foreign.look();
    expect(foreign.count()).toBe(1);
    expect(logged).toHaveLength(1);
    expect(JSON.parse(logged[0]!)).toMatchObject({
      level: 'error',
      sockets: ['00000000:1F90 00000000:0000'],
    });
  });

  it('are not counted any more once they are gone', async () => {
    kernelHas(socket(15086, 102));
    const { foreign } = watch();
    await foreign.look();
    await foreign.look();
    kernelHas();
    await foreign.look();
    expect(foreign.count()).toBe(0);
  });

  it('cause no report where they were opened between the two lists', async () => {
    kernelHas(socket(15086, 103));
    const { foreign, logged } = watch();
    await foreign.look();
    sidecarHas(103);
    await foreign.look();
    expect(foreign.count()).toBe(0);
    expect(logged).toEqual([]);
  });

  it('are looked for again and again, until it is stopped', () => {
    const { foreign, clock } = watch();
    expect(clock.waiting()).toEqual([60_000]);
    foreign.stop();
    clock.pass(60_000);
    expect(clock.waiting()).toEqual([]);
  });
});
