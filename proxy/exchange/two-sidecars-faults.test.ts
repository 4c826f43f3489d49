// One bad endpoint of five, and all of them bad at once, as clients see it: guarantees 2 and 3 of docs/guarantees.md, by
// what became of requests. Real sidecars on loopback; how long it takes on a cluster is `npm run bench -- faults`.
import { afterEach, describe, expect, it } from '@jest/globals';
import { startFaultyMesh, type Backend, type FaultyMesh } from '../../test/support/faulty-mesh.ts';
import { call, until } from '../../test/support/mesh-pair.ts';
import { route, type TestSidecar } from '../../test/support/sidecar.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const baseEjectionMs = 600_000;

/** As the sample that ships, but for times that do not depend on how busy this machine is. */
const policy = {
  protocol: 'http1',
  outlierDetection: {
    consecutive5xx: 5,
    consecutiveGatewayErrors: 3,
    baseEjectionMs,
    maxEjectionMs: 24 * 3_600_000,
    maxEjectionPercent: 50,
  },
  routes: [
    route({
      timeoutMs: 60_000,
      retry: {
        attempts: 2,
        on: ['connect-failure', 'refused-stream', 'reset', '5xx'],
        perTryTimeoutMs: 500,
        backoffMs: 25,
        maxBackoffMs: 250,
        budgetPercent: 20,
        budgetMinConcurrent: 3,
      },
    }),
  ],
} satisfies Parameters<typeof startFaultyMesh>[0];

async function meshOf(settings: Parameters<typeof startFaultyMesh>[1]): Promise<FaultyMesh> {
  const mesh = await startFaultyMesh(policy, settings);
  closers.push(() => mesh.close());
  return mesh;
}

/** Statuses of so many requests, a few at a time; 0: the connection broke. */
async function requests({ outbound }: TestSidecar, count: number): Promise<number[]> {
  const statuses: number[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const { port } = outbound.address;
      const answer = await call({ port }).catch(() => ({ status: 0 }));
      statuses.push(answer.status);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 4) }, worker));
  return statuses;
}

const failed = (statuses: number[]): number[] => statuses.filter((status) => status !== 200);

const faults = ['fails', 'hangs', 'drops', 'refuses'] as const;
type Fault = (typeof faults)[number];

function spoil({ app, wire }: Backend, fault: Fault): void {
  if (fault === 'drops' || fault === 'refuses') wire.become(fault);
  else app.behaviour = fault;
}

function mend({ app, wire }: Backend): void {
  app.behaviour = 'well';
  wire.become('passes');
}

/** Rounds of requests, none of which may fail, until it holds. */
async function succeedUntil(what: string, caller: TestSidecar, holds: () => boolean) {
  for (let round = 0; round < 500; round += 1) {
    if (holds()) return;
    expect(failed(await requests(caller, 10))).toEqual([]);
  }
  throw new Error(`not within 5,000 requests: ${what}`);
}

describe('one endpoint of five', () => {
  it.each(faults)(
    'that %s fails no request, is left out, asked seldom, and used again when it is well',
    async (fault) => {
      const mesh = await meshOf({});
      const [caller] = mesh.callers as [TestSidecar];
      const [bad] = mesh.backends as [Backend];
      expect(failed(await requests(caller, 50))).toEqual([]);
      spoil(bad, fault);
      // What else is known of it keeps requests away from it: that alone is not to be what saves them.
      const forget = (): void => caller.advance(60_000);
      await succeedUntil('it is left out', caller, () => {
        forget();
        return mesh.countOut(caller) === 1;
      });
      const [received, connections] = [bad.app.received, bad.wire.connections];
      expect(failed(await requests(caller, 200))).toEqual([]);
      expect(bad.app.received).toBe(received);
      caller.advance(2 * baseEjectionMs);
      expect(failed(await requests(caller, 200))).toEqual([]);
      // The one that asked whether it is well.
      expect(bad.app.received - received).toBeLessThanOrEqual(1);
      expect(bad.wire.connections - connections).toBeLessThanOrEqual(3);
      expect(mesh.countOut(caller)).toBe(1);
      mend(bad);
      caller.advance(3 * baseEjectionMs);
      await succeedUntil('it is used again', caller, () => {
        if (mesh.countOut(caller) > 0) forget();
        return mesh.countOut(caller) === 0;
      });
      expect(bad.app.received).toBeGreaterThan(received);
    },
    60_000,
  );

  it('that is slow gets less than its share, and no request fails', async () => {
    const mesh = await meshOf({});
    const [caller] = mesh.callers as [TestSidecar];
    const [slow] = mesh.backends as [Backend];
    expect(failed(await requests(caller, 100))).toEqual([]);
    slow.app.behaviour = 'slow';
    const [received, before] = [slow.app.received, mesh.received()];
    expect(failed(await requests(caller, 1_000))).toEqual([]);
    expect(slow.app.received - received).toBeLessThan((mesh.received() - before) / 10);
  }, 60_000);
});

describe('an outage of all endpoints', () => {
  it.each(faults)(
    'that %s is not made worse by retries, and is over when it is over, however long it was',
    async (fault) => {
      const mesh = await meshOf({ callers: 3 });
      for (const caller of mesh.callers) expect(failed(await requests(caller, 50))).toEqual([]);
      for (const backend of mesh.backends) spoil(backend, fault);
      const [received, connections] = [mesh.received(), mesh.connections()];
      const each = 40;
      const during = await Promise.all(mesh.callers.map((caller) => requests(caller, each)));
      const offered = mesh.callers.length * each;
      expect(during.flat().filter((status) => status === 200)).toEqual([]);
      expect(mesh.received() - received).toBeLessThanOrEqual(1.2 * offered);
      expect(mesh.connections() - connections).toBeLessThanOrEqual(1.2 * offered);
      // Hours of it: whoever is left out is so for ever longer.
      for (const caller of mesh.callers)
        for (let hour = 0; hour < 3; hour += 1) {
          caller.advance(3_600_000);
          await requests(caller, 4);
        }
      for (const backend of mesh.backends) mend(backend);
      for (const caller of mesh.callers) await expectRecovery(mesh, caller);
    },
    120_000,
  );
});

/** Without any time passing but that of the requests themselves. */
async function expectRecovery(mesh: FaultyMesh, caller: TestSidecar): Promise<void> {
  const { pool } = caller;
  const connectionsBefore = mesh.connections();
  let first = 0;
  for (let i = 0; i < 2_000 && first !== 200; i += 1) first = (await requests(caller, 1))[0]!;
  expect(first).toBe(200);
  expect(failed(await requests(caller, 20)).length).toBeLessThanOrEqual(4);
  expect(failed(await requests(caller, 200))).toEqual([]);
  await until('nobody is left out', () => mesh.countOut(caller) === 0);
  expect(mesh.connections() - connectionsBefore).toBeLessThanOrEqual(2 * mesh.backends.length);
  expect(pool.size).toBeLessThanOrEqual(2 * mesh.backends.length);
}
