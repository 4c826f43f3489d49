// The command line as a whole: finds the command, runs it, and says what went wrong in words. New commands
// join by a line in the table.

import type { Command } from './command.ts';
import { bugReport } from './commands/bug-report.ts';
import { check } from './commands/check.ts';
import { complete, completeName } from './commands/complete.ts';
import { completionOf } from './commands/completion.ts';
import { dashboard } from './commands/dashboard.ts';
import { describe } from './commands/describe.ts';
import { diff } from './commands/diff.ts';
import { explain } from './commands/explain.ts';
import { graph } from './commands/graph.ts';
import { proxy } from './commands/proxy.ts';
import { status } from './commands/status.ts';
import { tap } from './commands/tap.ts';
import { top } from './commands/top.ts';
import { CliError, exitCodes, type ExitCode } from './errors.ts';
import { styleOf } from './style.ts';
import packageJson from '../../package.json' with { type: 'json' };
import type { World } from './world.ts';

const asking: readonly Command[] = [
  check,
  status,
  describe,
  explain,
  diff,
  top,
  graph,
  tap,
  proxy,
  dashboard,
  bugReport,
];
const commands: readonly Command[] = [...asking, completionOf(asking)];

/** `argv` without the program's name. Never rejects. */
export async function runCli(argv: readonly string[], world: World): Promise<ExitCode> {
  const plain = argv.includes('--no-color');
  const inner: World = plain ? { ...world, colour: false } : world;
  try {
    return await dispatch(argv, inner);
  } catch (error) {
    return report(error, inner);
  }
}

async function dispatch(argv: readonly string[], world: World): Promise<ExitCode> {
  const [name = 'help', ...args] = argv;
  if (name === 'version' || name === '--version') {
    world.out(`tsmesh ${packageJson.version}`);
    return exitCodes.ok;
  }
  if (name === completeName) {
    await complete(args, asking, world);
    return exitCodes.ok;
  }
  const asksHelp = ['help', '--help', '-h'].includes(name);
  const command = commands.find((one) => one.name === (asksHelp ? args[0] : name));
  if (asksHelp && (command !== undefined || args.length === 0)) {
    world.out((command?.help(world.program) ?? overview(world.program)).join('\n'));
    return exitCodes.ok;
  }
  if (command === undefined) {
    const known = commands.map((one) => one.name).join(', ');
    const asked = asksHelp ? args[0]! : name;
    const [first] = args.filter((one) => commands.some(({ name: known }) => known === one));
    if (asked.startsWith('-') && first !== undefined)
      throw new CliError('Usage', `options stand behind the command: ${world.program} ${first} …`);
    throw new CliError('Usage', `no command ${asked}; there are: ${known}, help, version`);
  }
  if (args.includes('--help') || args.includes('-h')) {
    world.out(command.help(world.program).join('\n'));
    return exitCodes.ok;
  }
  return await command.run(args, world);
}

function overview(program: string): string[] {
  const width = Math.max(...commands.map((one) => one.name.length), 'version'.length) + 2;
  return [
    `${program} COMMAND [OPTIONS]: asks about a tsmesh service mesh`,
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`),
    `  ${'help'.padEnd(width)}this text, or that of a command: ${program} help COMMAND`,
    `  ${'version'.padEnd(width)}of this tool`,
  ];
}

function report(error: unknown, world: World): ExitCode {
  const { red, dim } = styleOf(world.colour);
  if (!(error instanceof CliError)) {
    const stack = error instanceof Error ? error.stack : String(error);
    world.err(`${red('error:')} this is a defect of tsmesh, please report it\n${stack}`);
    return exitCodes.defect;
  }
  world.err(`${red('error:')} ${error.message}`);
  for (const line of error.details) world.err(`  ${line}`);
  if (error.hint !== '') world.err(dim(`hint: ${error.hint}`));
  return error.exitCode;
}
