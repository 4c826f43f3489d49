// Root rotation, step by step: what each waits for, what it writes, and what becomes of it when somebody
// stops, stays away, or edits the Secret meanwhile.

import { describe, expect, it } from '@jest/globals';
import type { Mesh } from '../resources/tsmesh.ts';
import { createKeyPair, createRoot, loadAuthority, type CaPem } from './authority.ts';
import { contentOf, contentWith, withContent, type CaContent } from './ca-content.ts';
import {
  beginRotation,
  decideRotation,
  isBuiltIn,
  rotationCondition,
  type Follower,
  type RotationFacts,
} from './rotation.ts';
import { trustOf } from './trust.ts';
import { rotateRootAnnotation } from './types.ts';
import { buildCertificate } from './x509.ts';

const second = 1000;
const day = 86_400_000;
const start = Date.UTC(2026, 10, 22, 12);

function firstContent(): CaContent {
  return contentWith(createRoot('cluster.local', 100 * day, start));
}

function meshAsking(ms: number | string): Mesh {
  const value = typeof ms === 'string' ? ms : new Date(ms).toISOString();
  return {
    metadata: { name: 'default', annotations: { [rotateRootAnnotation]: value } },
    spec: {},
  };
}

function foreignCa(): CaPem {
  const { publicKey, privateKey } = createKeyPair();
  const subject = { organization: 'Example', commonName: 'CA of shops' };
  const parts = { role: 'authority' as const, subject, publicKey, uris: [], dnsNames: [] };
  const times = { notBeforeMs: start, notAfterMs: start + 100.5 * day };
  const { pem } = buildCertificate({ ...parts, ...times }, { selfKey: privateKey });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { chainPem: pem, keyPem, rootsPem: pem };
}

/** A mesh whose followers take what the Secret says when `follow` is called. */
class World {
  content = firstContent();
  mesh: Mesh | null = null;
  nowMs = start + day;
  followers: Follower[] = [];
  verifiers: { name: string; trustedRoots: readonly string[] }[] = [];
  writes = 0;

  constructor(...names: string[]) {
    this.followers = names.map((name) => ({ name, state: 'connected', trust: null }));
    this.follow();
  }

  facts(): RotationFacts {
    const loaded = loadAuthority(this.content.pem, this.nowMs);
    if (!loaded.ok) throw new Error(loaded.problem.message);
    const { content, mesh, followers, verifiers } = this;
    return { content, authority: loaded.authority, mesh, followers, verifiers };
  }

  follow(name?: string): void {
    const trust = trustOf(this.content.pem);
    this.followers = this.followers.map((one) =>
      name === undefined || one.name === name ? { ...one, trust } : one,
    );
    if (name === undefined) {
      this.verifiers = [{ name: 'webhook pods', trustedRoots: trust.trustedRoots }];
    }
  }

  set(name: string, change: Partial<Follower>): void {
    this.followers = this.followers.map((one) => (one.name === name ? { ...one, ...change } : one));
  }

  /** As the leader does, some time later; the Secret between is text, as in the cluster. */
  pass(ms = 10 * second): void {
    this.nowMs += ms;
    const decision = decideRotation(this.facts(), this.nowMs);
    if (decision.action === 'none') return;
    const next =
      decision.action === 'write'
        ? decision.content
        : beginRotation(
            this.content,
            { pem: createRoot('cluster.local', 100 * day, this.nowMs), issuedBy: null },
            decision.cause,
            this.nowMs,
          );
    const secret = { metadata: { name: 'tsmesh-ca' } };
    this.content = contentOf(withContent(secret, next));
    this.writes += 1;
  }

  step(): string {
    return this.content.rotation?.step ?? 'none';
  }

  says(): string {
    return rotationCondition(this.facts(), this.nowMs)?.message ?? '';
  }

  ask(): void {
    this.mesh = meshAsking(this.nowMs);
  }
}

function roots(content: CaContent): readonly string[] {
  return trustOf(content.pem).trustedRoots;
}

describe('a root that is to be rotated', () => {
  it('is trusted everywhere, then used, then the old one dropped; one write for each step', () => {
    const world = new World('operator a', 'pod shop/x');
    const old = trustOf(world.content.pem).underRoot!;
    world.ask();
    const seen: string[] = [];
    for (let round = 0; round < 8; round++) {
      world.pass();
      const { underRoot, trustedRoots } = trustOf(world.content.pem);
      seen.push(`${world.step()} ${underRoot === old ? 'old' : 'new'} ${trustedRoots.length}`);
      world.follow();
    }
    expect(seen.slice(0, 5)).toEqual([
      'Trust old 2',
      'Issue new 2',
      'Drop new 1',
      'Done new 1',
      'Done new 1',
    ]);
    expect(world.writes).toBe(4);
    expect(roots(world.content)).not.toContain(old);
    expect(world.content.next).toBeNull();
    expect(isBuiltIn(world.content.pem)).toBe(true);
    expect(world.says()).toMatch(/rotated from .* nobody trusts the old one/);
  });

  it('is rotated without being asked in the last fifth of its life, and not before', () => {
    const world = new World();
    world.nowMs = start + 79 * day;
    world.pass();
    expect(world.step()).toBe('none');
    world.nowMs = start + 81 * day;
    world.pass();
    expect(world.content.rotation).toMatchObject({
      step: 'Trust',
      cause: expect.stringMatching(/last fifth/),
    });
  });

  it.each([
    ['a word that is no time', 'now'],
    ['a time that is still to come', start + 400 * day],
    ['a time before the root was made', start - day],
  ])('is left as it is by %s', (_, value) => {
    const world = new World();
    world.mesh = meshAsking(value);
    world.pass();
    expect(world.step()).toBe('none');
  });

  it('is not rotated twice for one word', () => {
    const world = new World();
    world.ask();
    for (let round = 0; round < 12; round++) {
      world.pass();
      world.follow();
    }
    expect(world.writes).toBe(4);
  });

  it("is the mesh's own only: somebody else's CA is left alone, and the status says so", () => {
    const world = new World();
    world.content = { ...world.content, pem: foreignCa() };
    world.ask();
    world.nowMs += 99 * day;
    world.pass();
    expect(world.step()).toBe('none');
    expect(rotationCondition(world.facts(), world.nowMs)).toMatchObject({
      status: 'False',
      reason: 'NotBuiltIn',
    });
  });
});

describe('the next CA that a user puts into the Secret', () => {
  it('takes its place in the same steps', () => {
    const world = new World('pod shop/x');
    const next = foreignCa();
    world.content = { ...world.content, next };
    const seen: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      world.pass();
      seen.push(world.step());
      world.follow();
    }
    expect(seen).toEqual(['Trust', 'Issue', 'Drop', 'Done', 'Done']);
    expect(world.content).toMatchObject({ pem: next, next: null, issuedBy: null });
  });

  it('is refused with the reason where it is no good, and stays to be mended', () => {
    const world = new World('pod shop/x');
    const next = { ...foreignCa(), keyPem: foreignCa().keyPem };
    world.content = { ...world.content, next };
    world.pass();
    expect(world.step()).toBe('none');
    expect(rotationCondition(world.facts(), world.nowMs)).toMatchObject({
      status: 'False',
      reason: 'NextRefused',
      message: expect.stringMatching(/CAKeyMismatch: next\.key does not belong to next\.crt$/),
    });
    expect(world.content.next).toEqual(next);
  });
});

describe('each step waits', () => {
  it.each(['Trust', 'Issue', 'Drop'])('in %s for the last sidecar, and names it', (step) => {
    const world = new World('operator a', 'pod shop/x', 'pod shop/y');
    world.ask();
    while (world.step() !== step) {
      world.pass();
      if (world.step() !== step) world.follow();
    }
    world.verifiers = [{ name: 'webhook pods', trustedRoots: roots(world.content) }];
    world.follow('operator a');
    world.follow('pod shop/x');
    world.pass(10 * day);
    expect(world.step()).toBe(step);
    expect(world.says()).toMatch(/waiting for 1 of 4: pod shop\/y$/);
    expect(world.says()).toContain('since 2026-11-23T');
    world.follow('pod shop/y');
    world.pass();
    expect(world.step()).not.toBe(step);
  });

  it.each([
    [
      'a Ready pod without a stream',
      { state: 'disconnected', trust: null },
      'Ready, but not connected',
    ],
    ['a sidecar that does not say which roots it trusts', { trust: null }, 'has not said'],
  ] as const)('for %s, however long', (_, change, words) => {
    const world = new World('pod shop/x');
    world.ask();
    world.pass();
    world.follow();
    world.set('pod shop/x', change);
    world.pass(30 * day);
    expect(world.step()).toBe('Trust');
    expect(world.says()).toContain(words);
  });

  it("for a pod that starts until the kubelet's next look is over, and no longer", () => {
    const world = new World('pod shop/x');
    world.ask();
    world.pass();
    world.follow();
    world.set('pod shop/x', { state: 'starting', trust: null });
    world.pass(100 * second);
    expect(world.step()).toBe('Trust');
    expect(world.says()).toContain('pod shop/x (starting)');
    world.pass(30 * second);
    expect(world.step()).toBe('Issue');
  });

  it('for the webhooks, and some seconds in any case', () => {
    const world = new World();
    world.ask();
    world.pass();
    const behind = world.verifiers;
    world.follow();
    world.pass(second);
    expect(world.step()).toBe('Trust');
    world.verifiers = behind;
    world.pass();
    expect(world.step()).toBe('Trust');
    expect(world.says()).toContain('webhook pods');
    world.follow();
    world.pass();
    expect(world.step()).toBe('Issue');
  });
});

describe('a rotation whose Secret somebody edits', () => {
  it.each([
    ['loses the next key', (content: CaContent) => ({ ...content, next: null })],
    [
      'gets another next key',
      (content: CaContent) => ({
        ...content,
        next: { ...content.next!, keyPem: createRoot('x', day, start).keyPem },
      }),
    ],
    [
      'loses the new root among those trusted',
      (content: CaContent) => ({
        ...content,
        pem: { ...content.pem, rootsPem: content.pem.chainPem },
      }),
    ],
  ])('begins again with another root when it %s', (_, edit) => {
    const world = new World('pod shop/x');
    world.ask();
    world.pass();
    const [first] = world.content.rotation!.newRoots;
    world.content = edit(world.content);
    world.follow();
    world.pass();
    expect(world.step()).toBe('none');
    expect(roots(world.content)).toHaveLength(1);
    for (let round = 0; round < 6; round++) {
      world.pass();
      world.follow();
    }
    expect(world.step()).toBe('Done');
    expect(roots(world.content)).not.toContain(first);
  });

  it('is given up when another CA was put there, whose roots stay as they are', () => {
    const world = new World('pod shop/x');
    world.ask();
    while (world.step() !== 'Issue') {
      world.pass();
      world.follow();
    }
    const foreign = createRoot('cluster.local', 90 * day, world.nowMs);
    world.content = { ...world.content, pem: foreign };
    world.pass();
    expect(world.step()).toBe('none');
    expect(world.content.pem.rootsPem).toBe(foreign.rootsPem);
  });

  it('takes nonsense in the place of its state for none', () => {
    const secret = {
      metadata: { name: 'x', annotations: { 'tsmesh.dev/root-rotation': '{"step":"Jump"}' } },
    };
    expect(contentOf(secret).rotation).toBeNull();
  });
});
