import { describe, expect, it } from '@jest/globals';
import { createTestClock } from '../net/test-clock.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createDrain } from './drain.ts';

function fixture(gracePeriodMs = 30_000) {
  const clock = createTestClock();
  const world = {
    inFlight: 0,
    connections: 0,
    told: 0,
    announced: 0,
    refusing: false,
    done: false,
    /** Taken in by another thread before it heard that nothing is taken in any more. */
    late: 0,
  };
  const drain = createDrain({
    drainInbound: () => void (world.told += 1),
    announce: () => void (world.announced += 1),
    refuseInbound() {
      world.refusing = true;
      world.inFlight += world.late;
    },
    inboundInFlight: () => world.inFlight,
    inboundConnections: () => world.connections,
    gracePeriodMs,
    clock,
    logger: createLogger({ level: 'error', wallTimeMs: () => 0, write: () => {} }),
  });
  const finish = async (): Promise<void> => {
    await drain.finished('test');
    world.done = true;
  };
  /** Lets time pass and then what waits for it. */
  const pass = async (ms: number): Promise<void> => {
    clock.pass(ms);
    await Promise.resolve();
    await Promise.resolve();
  };
  return { world, drain, finish, pass };
}

describe('the drain', () => {
  it('is over at once where nobody is connected', async () => {
    const { world, finish, pass } = fixture();
    void finish();
    await pass(0);
    expect(world).toMatchObject({ done: true, told: 1, announced: 1, refusing: true });
  });

  it('tells peers and operator once, however often it is begun', async () => {
    const { world, drain, finish, pass } = fixture();
    drain.start('first');
    drain.start('second');
    void finish();
    void finish();
    await pass(0);
    expect(world).toMatchObject({ told: 1, announced: 1 });
  });

  it('gives connected peers time to hear of it', async () => {
    const { world, finish, pass } = fixture();
    world.connections = 1;
    void finish();
    await pass(400);
    expect(world.done).toBe(false);
    await pass(200);
    expect(world.done).toBe(true);
  });

  it('waits for requests in flight, and for quiet after the last', async () => {
    const { world, finish, pass } = fixture();
    world.connections = 1;
    world.inFlight = 1;
    void finish();
    await pass(5000);
    expect(world.done).toBe(false);
    world.inFlight = 0;
    await pass(300);
    world.inFlight = 1;
    await pass(300);
    world.inFlight = 0;
    await pass(400);
    expect(world.done).toBe(false);
    await pass(200);
    expect(world.done).toBe(true);
  });

  it('ends before the grace period does, whatever is in flight', async () => {
    const { world, finish, pass } = fixture(30_000);
    world.connections = 1;
    world.inFlight = 1;
    void finish();
    await pass(26_900);
    expect(world).toMatchObject({ done: false, refusing: false });
    await pass(200);
    expect(world).toMatchObject({ done: true, refusing: true });
  });

  it('waits for what another thread took in before it heard of the end', async () => {
    const { world, finish, pass } = fixture();
    world.late = 1;
    void finish();
    await pass(100);
    expect(world).toMatchObject({ refusing: true, done: false });
    world.inFlight = 0;
    await pass(20);
    expect(world.done).toBe(true);
  });

  it('waits for that no longer than for all else', async () => {
    const { world, finish, pass } = fixture(30_000);
    world.late = 1;
    void finish();
    await pass(26_900);
    expect(world.done).toBe(false);
    await pass(200);
    expect(world.done).toBe(true);
  });
});
