// The command line around its commands: help, unknown words, formats, exit codes.

import { describe, expect, it } from '@jest/globals';
import { run } from './test-world.ts';

describe('tsmesh', () => {
  it('without a command, or asked for help, lists what there is', async () => {
    for (const args of [[], ['help'], ['--help'], ['-h']]) {
      const { code, out, err } = await run(args);
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(/explain +may A call B/);
    }
  });

  it.each([[['help', 'explain']], [['explain', '--help']], [['explain', '-h']]])(
    'explains a command: %j',
    async (args) => {
      const { code, out } = await run(args, { program: 'kubectl tsmesh' });
      expect(code).toBe(0);
      expect(out).toContain('kubectl tsmesh explain --from WHO --to WHAT');
      expect(out).toContain('-f, --file PATH');
      expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    },
  );

  it('says its version', async () => {
    expect((await run(['version'])).out).toMatch(/^tsmesh \d+\.\d+\.\d+$/);
  });

  it.each([
    [
      ['explian'],
      'no command explian; there are: check, status, describe, explain, diff, top, graph, tap, proxy, dashboard, bug-report, completion, help, version',
    ],
    [['-n', 'shop', 'status'], 'options stand behind the command: tsmesh status …'],
    [['help', 'explian'], 'no command explian'],
    [['explain', '--form', 'web'], "unknown option '--form'"],
    [['explain', 'web', 'cart'], "unexpected argument 'web'"],
    [['explain', '--from', 'web'], 'to: is missing'],
    [['explain', '--to', 'cart'], 'from: is missing'],
    [['explain', '--from', 'a/b/c', '--to', 'cart'], 'from: a/b/c is no name of the form'],
    [['explain', '--from', 'web', '--to', 'cart:70000'], 'a port is a number from 1 to 65535'],
    [['explain', '--from', 'web', '--to', 'cart', '-o', 'yaml'], 'text or json'],
    [['explain', '--from', 'web', '--to', 'cart', '--ip', '10.0.0'], '10.0.0 is no IP address'],
    [['explain', '--from', 'web', '--to', 'cart', '--path', 'items'], 'must begin with /'],
    [['explain', '--from', 'web', '--to', 'cart', '-H', 'x'], 'x is not of the form NAME=VALUE'],
    [['explain', '--from', 'web', '--to', 'cart', '-X', 'G T'], 'G T is no method'],
    [
      ['explain', '--from', 'web', '--to', 'cart', '--identity', 'web'],
      'is not of the form spiffe',
    ],
    [['explain', '--from', 'web', '--to', 'cart', '--tcp', '-X', 'GET'], 'has no method'],
  ])('answers %j with what is wrong, and 2', async (args, words) => {
    // With files, so that no cluster is asked.
    const inner = args[0] === 'explain' ? [...args, '-f', import.meta.dirname] : args;
    const { code, out, err } = await run(inner);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(words);
  });

  it('gives colour to a terminal that wants it only', async () => {
    const wrong = ['explain', '--nonsense'];
    expect((await run(wrong, { colour: true })).err).toContain('\u001b[31merror:\u001b[0m');
    expect((await run(wrong, { colour: false })).err).toMatch(/^error: /);
    expect((await run([...wrong, '--no-color'], { colour: true })).err).toMatch(/^error: /);
  });

  it('reports a failure of its own as such', async () => {
    const readStdin = () => Promise.reject(new RangeError('broken'));
    const args = ['explain', '--from', 'web', '--to', 'cart', '-f', '-'];
    const { code, err } = await run(args, { readStdin });
    expect(code).toBe(70);
    expect(err).toContain('defect of tsmesh');
    expect(err).toContain('RangeError: broken');
  });
});
