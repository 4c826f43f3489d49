// For tests only: runs the command line as a process would, with what it writes in hand.

import { ManualClock } from '../runtime/test-clock.ts';
import { runCli } from './app.ts';
import type { World } from './world.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export async function run(args: readonly string[], world: Partial<World> = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    readStdin: async () => '',
    colour: false,
    terminal: null,
    clock: new ManualClock(),
    random: Math.random,
    showPage: () => undefined,
    program: 'tsmesh',
    ...world,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
