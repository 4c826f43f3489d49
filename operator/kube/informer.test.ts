import { describe, expect, it } from '@jest/globals';
import type { KubeObject } from '../resources/kubernetes.ts';
import { ManualClock } from '../runtime/test-clock.ts';
import { Informer } from './informer.ts';
import { MemoryTransport, refusal } from './test-transport.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** An informer whose reports rebuild the collection: what it says, and nothing else, is the world. */
function watched(transport = new MemoryTransport(), upsert?: () => void) {
  const clock = new ManualClock();
  const world = new Map<string, string>();
  const log: string[] = [];
  const errors: string[] = [];
  const logger = { ...silent, error: (message: string) => errors.push(message) };
  const deps = { transport, clock, logger, random: () => 0.5 };
  const informer = new Informer<KubeObject>({ kind: 'Namespace' }, deps, {
    upsert(object) {
      log.push(`upsert ${object.metadata.name}`);
      world.set(object.metadata.name, object.metadata.resourceVersion ?? '');
      upsert?.();
    },
    remove(object) {
      log.push(`remove ${object.metadata.name}`);
      world.delete(object.metadata.name);
    },
  });
  const expectInStep = () => {
    const real = [...transport.objects.values()].map((o) => [
      o.metadata.name,
      o.metadata.resourceVersion,
    ]);
    expect(Object.fromEntries(world)).toEqual(Object.fromEntries(real));
    expect(
      informer
        .list()
        .map((o) => o.metadata.name)
        .toSorted(),
    ).toEqual([...world.keys()].toSorted());
  };
  return { transport, clock, informer, log, errors, world, expectInStep };
}

describe('an informer', () => {
  it('lists in pages, then follows every change', async () => {
    const { transport, clock, informer, expectInStep } = watched();
    transport.pageSize = 2;
    for (const name of ['a', 'b', 'c', 'd', 'e']) transport.put(name);
    informer.start();
    await informer.synced;
    expectInStep();
    await clock.advance(0);
    transport.put('f');
    transport.put('a', { changed: true });
    transport.remove('b');
    expectInStep();
    expect(informer.get('', 'a')).toMatchObject({ changed: true });
    expect(informer.get('', 'b')).toBeUndefined();
    await informer.stop();
  });

  it('goes on from the last version, bookmarks included, when a watch ends', async () => {
    const { transport, clock, informer, expectInStep } = watched();
    transport.put('a');
    informer.start();
    await clock.advance(2_000);
    transport.bookmark();
    const lists = transport.requests.length;
    transport.dropWatches();
    await clock.advance(60_000);
    expect(transport.requests).toHaveLength(lists);
    expect(transport.watchPaths.at(-1)).toContain('resourceVersion=12');
    transport.put('b');
    expectInStep();
    await informer.stop();
  });

  it('reports as removed what vanished while its version was forgotten', async () => {
    const { transport, clock, informer, log, expectInStep } = watched();
    transport.put('stays');
    transport.put('goes');
    informer.start();
    await clock.advance(2_000);
    transport.dropWatches(new Error('ECONNRESET'));
    transport.remove('goes');
    transport.put('comes');
    transport.forgetHistory();
    await clock.advance(60_000);
    expectInStep();
    expect(log).toEqual(['upsert stays', 'upsert goes', 'upsert comes', 'remove goes']);
    await informer.stop();
  });

  it('reports an object that was deleted and made again in a gap as two', async () => {
    const { transport, clock, informer, log, expectInStep } = watched();
    transport.put('a', {}, 'uid-1');
    informer.start();
    await clock.advance(2_000);
    transport.dropWatches(new Error('ECONNRESET'));
    transport.remove('a');
    transport.put('a', {}, 'uid-2');
    transport.forgetHistory();
    await clock.advance(60_000);
    expect(log).toEqual(['upsert a', 'remove a', 'upsert a']);
    expectInStep();
    await informer.stop();
  });

  it('survives a server that is away, with growing pauses, and says so once it is back', async () => {
    const { transport, clock, informer, expectInStep } = watched();
    transport.put('a');
    transport.scripted.push(...Array.from({ length: 5 }, () => new Error('ECONNREFUSED')));
    transport.scripted.push(refusal(503, 'ServiceUnavailable'), refusal(403, 'Forbidden'));
    informer.start();
    await clock.advance(1_000);
    expect(informer.list()).toEqual([]);
    expect(transport.requests.length).toBeLessThan(5);
    await clock.advance(60_000);
    expectInStep();
    await informer.stop();
  });

  it('takes up a watch again that broke in the middle of a line, and applies nothing of it', async () => {
    const { transport, clock, informer, expectInStep } = watched();
    transport.put('a');
    informer.start();
    await clock.advance(2_000);
    transport.sendLine('{"type":"ADDED","object":{"metadata":{"name":"half"');
    await clock.advance(60_000);
    transport.put('b');
    expectInStep();
    await informer.stop();
  });

  it('lists anew when the server keeps refusing the version that it was left with', async () => {
    const { transport, clock, informer, expectInStep } = watched();
    transport.put('a');
    informer.start();
    await clock.advance(2_000);
    const lists = transport.requests.length;
    for (let i = 0; i < 6; i += 1) {
      transport.dropWatches(new Error('504: too large resource version'));
      while (transport.openWatches === 0) await clock.advance(100);
    }
    expect(transport.requests.length).toBeGreaterThan(lists);
    expectInStep();
    await informer.stop();
  });

  it('comes back soon from each break of a watch that was good, however many there were', async () => {
    const { transport, clock, informer, expectInStep } = watched();
    informer.start();
    await clock.advance(0);
    for (let i = 0; i < 20; i += 1) {
      await clock.advance(60_000);
      transport.dropWatches(new Error('aborted'));
      await clock.advance(300);
      expect(transport.openWatches).toBe(1);
      transport.put(`after-${i}`);
    }
    expectInStep();
    await informer.stop();
  });

  it('keeps watching when a listener throws, and does not hide it', async () => {
    const seen: string[] = [];
    const { transport, clock, informer, errors, log } = watched(new MemoryTransport(), () => {
      seen.push('called');
      if (seen.length === 1) throw new Error('a defect');
    });
    transport.put('a');
    informer.start();
    await clock.advance(0);
    transport.put('b');
    expect(errors).toHaveLength(1);
    expect(log).toEqual(['upsert a', 'upsert b']);
    await informer.stop();
  });

  it('ends its watch when stopped', async () => {
    const { transport, clock, informer } = watched();
    informer.start();
    await clock.advance(0);
    expect(transport.openWatches).toBe(1);
    await informer.stop();
    expect(transport.openWatches).toBe(0);
  });
});
