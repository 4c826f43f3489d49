// What a command of `tsmesh` is. Types only; app.ts has the table of them.

import type { OptionTable } from './arguments.ts';
import type { ExitCode } from './errors.ts';
import type { World } from './world.ts';

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly options: OptionTable;
  /** Lines. */
  help(program: string): string[];
  /** `args` come after the command's name. Rejects with a CliError where there is no answer. */
  run(args: string[], world: World): Promise<ExitCode>;
}
