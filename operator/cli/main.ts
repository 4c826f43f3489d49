// The process of `tsmesh` (and `kubectl tsmesh`): arguments, environment and terminal in, exit code out.

import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { text } from 'node:stream/consumers';
import { systemClock } from '../runtime/clock.ts';
import { runCli } from './app.ts';
import type { World } from './world.ts';

const { env, stdout, stdin, argv } = process;

/** No browser, or nobody in front of it, is no error: the address was printed. */
function showPage(url: string): void {
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const child = spawn(opener, [url], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}

const world: World = {
  out: (line) => void stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  readStdin: () => text(stdin),
  colour: stdout.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
  // A terminal that does not know its size says 0.
  terminal: stdout.isTTY
    ? { rows: () => stdout.rows || 24, columns: () => stdout.columns || 80 }
    : null,
  clock: systemClock,
  random: Math.random,
  showPage,
  program: basename(argv[1] ?? '').startsWith('kubectl-') ? 'kubectl tsmesh' : 'tsmesh',
};

// A reader that goes early (`| head`) is no error.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

// Set, not exited with: what was written to a pipe still has to leave.
process.exitCode = await runCli(argv.slice(2), world);
