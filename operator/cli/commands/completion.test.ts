import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { run } from '../test-world.ts';

/** What bash offers behind these words. */
async function offered(...words: string[]): Promise<string[]> {
  const { out } = await run(['completion', 'bash']);
  const list = words.map((word) => `'${word}'`).join(' ');
  const script = [
    out,
    `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}`,
    '_tsmesh',
    'printf "%s\\n" "${COMPREPLY[@]}"',
  ].join('\n');
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect([stderr, status]).toEqual(['', 0]);
  return stdout.split('\n').filter((line) => line !== '');
}

describe('completion', () => {
  it('offers commands and their options in bash', async () => {
    expect(await offered('tsmesh', '')).toEqual(
      expect.arrayContaining(['explain', 'status', 'help']),
    );
    expect(await offered('tsmesh', 'st')).toEqual(['status']);
    expect(await offered('tsmesh', 'explain', '--fr')).toEqual(['--from']);
    expect(await offered('tsmesh', 'status', '-')).toEqual(
      expect.arrayContaining(['-n', '--namespace', '--problems']),
    );
  });

  it('offers what can stand behind an option, or first, and nothing where no cluster answers', async () => {
    const asked = async (...args: string[]) =>
      await run(['__complete', ...args, '--kubeconfig', '/nowhere']);
    expect((await run(['__complete', 'describe'])).out).toBe('service\npod');
    expect((await run(['__complete', 'graph', '-o'])).out).toBe('text\ndot\nmermaid\njson');
    expect((await run(['__complete', 'help'])).out).toContain('bug-report');
    expect(await asked('describe', 'pod')).toEqual({ code: 0, out: '', err: '' });
    expect(await asked('nonsense')).toEqual({ code: 0, out: '', err: '' });
  });

  it('is made for zsh and fish too', async () => {
    const zsh = await run(['completion', 'zsh']);
    expect(zsh.out).toContain("'explain:may A call B, by which route, and which rule says so'");
    const fish = await run(['completion', 'fish']);
    expect(fish.out).toContain("__fish_seen_subcommand_from status' -l namespace -s n -r");
  });

  it.each([[[]], [['tcsh']], [['bash', 'more']]])('of %j is bad input', async (args) => {
    const { code, err } = await run(['completion', ...args]);
    expect(code).toBe(2);
    expect(err).toContain('name a shell: bash, zsh, fish');
  });
});
