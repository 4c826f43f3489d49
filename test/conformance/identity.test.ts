// The identity of a sidecar on real files: what is taken, what is refused with which words, and that bad
// material never replaces good.

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { checkIdentity } from '../../proxy/identity/certificate.ts';
import { createIdentityLoader, type IdentityLoader } from '../../proxy/identity/loader.ts';
import { createIdentityHolder, type IdentityHolder } from '../../proxy/identity/store.ts';
import { systemClock } from '../../proxy/net/clock.ts';
import { createTestClock, type TestClock } from '../../proxy/net/test-clock.ts';
import { createLogger } from '../../proxy/telemetry/logger.ts';
import {
  issue,
  newAuthority,
  newIdentityDirectory,
  trustDomain,
  until,
  type IdentityDirectory,
} from '../support/identity-files.ts';

const expected = { trustDomain, namespace: 'shop', serviceAccount: 'cart' };
const hourMs = 3_600_000;
const authority = newAuthority();
const good = issue(authority, expected);

describe('checking identity material', () => {
  it('takes what fits and says who it is and until when', () => {
    const verdict = checkIdentity(good, expected, Date.now());
    expect(verdict).toMatchObject({
      ok: true,
      identity: {
        spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart',
        trustDomain,
        serial: good.serial,
      },
    });
  });

  it.each([
    ['a key of another certificate', { keyPem: issue(authority, expected).keyPem }, 'not the key'],
    ['a key that is none', { keyPem: 'nothing' }, 'tls.key holds no private key'],
    ['an empty chain', { chainPem: '' }, 'tls.crt holds no certificate'],
    ['a damaged certificate', { chainPem: good.chainPem.replace(/M/, 'N') }, 'cannot be read'],
    ['no roots', { rootsPem: '' }, 'ca.crt holds no certificate'],
    ['the roots of another mesh', { rootsPem: newAuthority().rootsPem }, 'not issued under a root'],
    [
      'the certificate of another service account',
      issue(authority, { serviceAccount: 'other' }),
      'is for spiffe://cluster.local/ns/shop/sa/other, not for',
    ],
    [
      'a root in place of the leaf',
      { chainPem: good.rootsPem, keyPem: authority.keyPem },
      'is a certificate authority',
    ],
  ])('refuses %s and says so', (_what, change, words) => {
    const verdict = checkIdentity({ ...good, ...change }, expected, Date.now());
    expect(verdict.ok ? 'taken' : verdict.reason).toContain(words);
  });

  it('refuses a certificate before and after its time', () => {
    const before = checkIdentity(good, expected, Date.now() - hourMs);
    const after = checkIdentity(good, expected, Date.now() + 2 * hourMs);
    expect(before.ok ? 'taken' : before.reason).toContain('is a clock off?');
    expect(after.ok ? 'taken' : after.reason).toContain('tls.crt expired at');
  });

  it('refuses roots that have all expired', () => {
    const old = newAuthority(Date.now(), hourMs);
    const leaf = issue(old, { ...expected, lifetimeMs: hourMs / 2 });
    const verdict = checkIdentity(leaf, expected, Date.now() + 2 * hourMs);
    expect(verdict.ok).toBe(false);
  });

  it('takes a leaf of the new root while both roots are trusted', () => {
    const next = newAuthority();
    const leaf = issue(next, expected);
    const rootsPem = `${authority.rootsPem}\n${next.rootsPem}`;
    expect(checkIdentity({ ...leaf, rootsPem }, expected, Date.now()).ok).toBe(true);
  });
});

describe('the identity loader', () => {
  let directory: IdentityDirectory;
  let holder: IdentityHolder;
  let logged: string[];
  let loader: IdentityLoader;
  let clock: TestClock;

  function start(withClock: typeof systemClock = clock): IdentityLoader {
    return createIdentityLoader({
      directory: directory.path,
      expected,
      holder,
      clock: withClock,
      logger: createLogger({
        level: 'info',
        wallTimeMs: () => Date.now(),
        write: (line) => void logged.push(line),
      }),
    });
  }

  beforeEach(() => {
    directory = newIdentityDirectory();
    holder = createIdentityHolder();
    logged = [];
    clock = createTestClock(Date.now());
    loader = start();
  });

  afterEach(() => {
    loader.stop();
    directory.remove();
  });

  it('puts the files in force and takes up a replacement', async () => {
    directory.replace(good);
    await loader.reload();
    expect(holder.current()?.serial).toBe(good.serial);
    const renewed = issue(authority, expected);
    directory.replace(renewed);
    await loader.reload();
    expect(holder.current()).toMatchObject({ serial: renewed.serial, generation: 2 });
  });

  it('waits for all others who use the same before it puts a replacement in force', async () => {
    loader.stop();
    const others: { serial: string; done: () => void }[] = [];
    loader = createIdentityLoader({
      directory: directory.path,
      expected,
      holder,
      clock,
      logger: createLogger({ level: 'error', wallTimeMs: () => 0, write: () => {} }),
      share: (_material, { serial }, done) => void others.push({ serial, done }),
    });
    directory.replace(good);
    await loader.reload();
    expect(holder.current()).toBeNull();
    expect(others.map(({ serial }) => serial)).toEqual([good.serial]);
    others[0]!.done();
    expect(holder.current()?.serial).toBe(good.serial);
    await loader.reload();
    expect(others).toHaveLength(1);
  });

  it('hears of a replacement without being asked', async () => {
    loader.stop();
    loader = start(systemClock);
    directory.replace(good);
    await loader.reload();
    const renewed = issue(authority, expected);
    directory.replace(renewed);
    await until(() => holder.current()?.serial === renewed.serial);
    expect(holder.current()?.generation).toBe(2);
  });

  it('does not swap where nothing changed', async () => {
    directory.replace(good);
    await loader.reload();
    directory.replace(good);
    await loader.reload();
    expect(holder.current()?.generation).toBe(1);
  });

  it('keeps the last good identity over bad files, and says why once', async () => {
    directory.replace(good);
    await loader.reload();
    directory.replace({ ...good, keyPem: 'nothing' });
    await loader.reload();
    await loader.reload();
    expect(holder.current()?.serial).toBe(good.serial);
    expect(loader.problem()).toContain('tls.key holds no private key');
    const errors = logged.filter((line) => line.includes('identity files refused'));
    expect(errors).toHaveLength(1);
    expect(JSON.parse(errors[0]!)).toMatchObject({ stillInForce: good.serial });
  });

  it('has no problem any more once good files are back', async () => {
    directory.replace({ ...good, keyPem: 'nothing' });
    await loader.reload();
    directory.replace(good);
    await loader.reload();
    expect(loader.problem()).toBeNull();
    expect(holder.current()?.serial).toBe(good.serial);
  });

  it('takes a certificate whose time comes later, at the poll after', async () => {
    clock = createTestClock(Date.now() - hourMs);
    loader.stop();
    loader = start();
    directory.replace(good);
    await loader.reload();
    expect(holder.current()).toBeNull();
    clock.pass(2 * hourMs - 120_000);
    await loader.reload();
    expect(holder.current()?.serial).toBe(good.serial);
  });

  it('waits for a directory that is not there yet', async () => {
    directory.remove();
    await loader.reload();
    expect(loader.problem()).toContain('ENOENT');
    expect(holder.current()).toBeNull();
  });

  it('misses no part of a set: files of two versions are never mixed', async () => {
    directory.replace(good);
    await loader.reload();
    let last = good;
    for (let round = 0; round < 10; round += 1) {
      const loading = loader.reload();
      last = issue(authority, expected);
      directory.replace(last);
      await loading;
      expect(loader.problem()).toBeNull();
    }
    // Long before the next poll: what changed while files were being read is looked at again.
    await until(() => {
      clock.pass(50);
      return clock.nowMs() > 4000 || holder.current()?.serial === last.serial;
    });
    expect(holder.current()?.serial).toBe(last.serial);
  });
});
