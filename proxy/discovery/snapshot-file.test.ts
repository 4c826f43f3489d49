import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createTestClock } from '../net/test-clock.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createSnapshotFile } from './snapshot-file.ts';

const directories: string[] = [];
afterEach(() => {
  for (const one of directories.splice(0)) rmSync(one, { recursive: true, force: true });
});

/** `costMs`: what it takes to make the text. */
function fileThatCosts(costMs: number) {
  const directory = mkdtempSync(join(tmpdir(), 'tsmesh-snapshot-'));
  directories.push(directory);
  const clock = createTestClock();
  const resource = {
    toJSON: () => {
      clock.pass(costMs);
      return { type: 'Endpoints', name: 'a', endpoints: [] };
    },
  };
  const file = createSnapshotFile({
    directory,
    owner: 'me',
    resources: () => [{ version: '1', resource: resource as never }],
    clock,
    logger: createLogger({ level: 'error', wallTimeMs: () => 0, write: () => undefined }),
  });
  return { clock, file };
}

describe('the snapshot on disk', () => {
  it('is read as it was written', async () => {
    const { file } = fileThatCosts(0);
    expect(await file.load()).toBeNull();
    file.changed();
    await file.flush();
    const resource = { type: 'Endpoints', name: 'a', endpoints: [] };
    expect(await file.load()).toEqual([{ version: '1', resource }]);
  });

  it.each([
    [0, 1_000],
    [20, 4_000],
    [10_000, 60_000],
  ])('is written less often the more it costs: after %i ms, in %i ms', async (costMs, pauseMs) => {
    const { clock, file } = fileThatCosts(costMs);
    file.changed();
    expect(clock.waiting()).toEqual([1_000]);
    await file.flush();
    file.changed();
    file.changed();
    expect(clock.waiting()).toEqual([pauseMs]);
    await file.flush();
  });
});
