// What Programmed promises: from the moment that it is seen to be true, no request is decided by the generation before.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sizeOf } from '../support/samples.ts';
import { Stage } from '../support/stage.ts';
import { changeAndObserve, changeKinds, recordFor } from '../support/stage-changes.ts';

describe('a change of policy', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open('t-apply');
  }, 240_000);
  afterAll(() => stage.close(), 240_000);

  // The Mesh is everybody's: its changes would be seen by the tests beside this one. `npm run bench -- apply` has them.
  const kinds = changeKinds.filter(({ kind }) => kind !== 'Mesh');
  it.each(kinds.map((one) => [one.title, one] as const))(
    '%s: is obeyed by every caller, and Programmed is never true before',
    async (_title, one) => {
      await one.create(stage);
      stage.watch(one.kind);
      const recordings = await recordFor(stage, one, 50);
      try {
        const times = sizeOf('changesPerKind');
        const observed = await changeAndObserve(stage, one, recordings, times);
        expect(observed).toHaveLength(times);
        expect(observed.map(({ early }) => early)).toEqual(observed.map(() => 0));
      } finally {
        for (const recording of recordings) recording.end();
        await stage.remove(one.kind, one.name);
      }
    },
    sizeOf('changesPerKind') * 5_000 + 60_000,
  );
});
