// The image archive: what is in it, and that it depends on nothing else.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { contentTag, imageArchive, layer, type Image } from './archive.ts';
import { tarFile, type TarEntry } from './tar.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsmesh-archive-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function extracted(tar: Buffer, ...args: string[]): string {
  const path = join(folder, 'file.tar');
  writeFileSync(path, tar);
  return execFileSync('tar', [...args, '-f', path], { encoding: 'utf8' });
}

const file = (path: string, text: string): TarEntry => {
  return { path, mode: 0o640, content: Buffer.from(text) };
};

describe('tar', () => {
  it('is read by the tar program, with modes, owners, links and missing parents', () => {
    const tar = tarFile([
      { ...file('app/data/one', 'first'), uid: 15086, gid: 7 },
      { path: 'app/link', mode: 0o777, content: { link: 'data/one' } },
    ]);
    const listing = extracted(tar, '-t', '-v', '--numeric-owner').trim().split('\n');
    expect(listing.map((line) => line.replace(/\s+/g, ' '))).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 app/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 app/data/',
      '-rw-r----- 15086/7 5 1970-01-01 00:00 app/data/one',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 app/link -> data/one',
    ]);
    expect(extracted(tar, '-x', '-O')).toBe('first');
  });

  it('keeps content of every length around a block', () => {
    for (const length of [0, 1, 511, 512, 513, 1024]) {
      const tar = tarFile([file('x', 'a'.repeat(length))]);
      expect(extracted(tar, '-x', '-O')).toBe('a'.repeat(length));
    }
  });

  it('keeps a path that needs the prefix field, and refuses one that fits nowhere', () => {
    const long = `${'d'.repeat(80)}/${'e'.repeat(60)}/name`;
    expect(
      extracted(tarFile([file(long, '')]), '-t')
        .trim()
        .split('\n')
        .at(-1),
    ).toBe(long);
    expect(() => tarFile([file('f'.repeat(101), '')])).toThrow('the path is too long');
  });

  it('does not depend on the order of its entries', () => {
    const entries = [file('b', '2'), file('a', '1'), file('c/d', '3')];
    expect(tarFile(entries).equals(tarFile(entries.toReversed()))).toBe(true);
  });
});

describe('image archive', () => {
  const config = { user: '1:1', entrypoint: ['/app'] };
  const shared = layer([file('base', 'base')]);
  const image = (name: string): Image => ({
    reference: `tsmesh/${name}:1`,
    layers: [shared, layer([file(name, name)])],
    config,
  });

  it('holds a shared layer once and names every layer of each image', () => {
    const tar = imageArchive([image('one'), image('two')]);
    const names = extracted(tar, '-t').split('\n');
    expect(names.filter((name) => name.endsWith('/layer.tar'))).toHaveLength(3);
    const manifest = JSON.parse(extracted(tar, '-x', '-O', 'manifest.json')) as {
      RepoTags: string[];
      Layers: string[];
      Config: string;
    }[];
    expect(manifest.map(({ RepoTags }) => RepoTags)).toEqual([['tsmesh/one:1'], ['tsmesh/two:1']]);
    expect(manifest[0]?.Layers[0]).toBe(manifest[1]?.Layers[0]);
    for (const { Layers, Config } of manifest) {
      for (const path of [...Layers, Config]) expect(names).toContain(path);
    }
  });

  it('says user and entrypoint in the configuration, and the digests of the layers', () => {
    const one = image('one');
    const tar = imageArchive([one]);
    const name = extracted(tar, '-t')
      .split('\n')
      .find((path) => path.endsWith('.json') && path !== 'manifest.json');
    const written = JSON.parse(extracted(tar, '-x', '-O', name ?? '')) as {
      config: { User: string; Entrypoint: string[] };
      rootfs: { diff_ids: string[] };
    };
    expect(written.config).toMatchObject({ User: '1:1', Entrypoint: ['/app'] });
    expect(written.rootfs.diff_ids).toEqual(one.layers.map(({ diffId }) => `sha256:${diffId}`));
  });

  it('has a tag that changes with content and configuration, and with nothing else', () => {
    const { layers } = image('one');
    expect(contentTag(layers, config)).toBe(contentTag(image('one').layers, config));
    expect(contentTag(layers, config)).not.toBe(contentTag(image('two').layers, config));
    expect(contentTag(layers, config)).not.toBe(contentTag(layers, { ...config, user: '0' }));
  });
});
