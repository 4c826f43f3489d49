// `tsmesh completion`: a script that lets a shell complete commands and options, made of their tables.

import type { OptionTable } from '../arguments.ts';
import type { Command } from '../command.ts';
import { CliError, exitCodes } from '../errors.ts';

export interface Completable {
  readonly name: string;
  readonly summary: string;
  readonly options: OptionTable;
}

type Script = (program: string, commands: readonly Completable[]) => string[];

const scripts: Readonly<Record<string, Script>> = { bash, zsh, fish };
const builtIn: readonly Completable[] = [
  { name: 'help', summary: 'of a command', options: {} },
  { name: 'version', summary: 'of this tool', options: {} },
];

/** `commands`: all others. */
export function completionOf(commands: readonly Completable[]): Command {
  const own: Completable = { name: 'completion', summary: 'a script for the shell', options: {} };
  return {
    ...own,
    help: (program) => [
      `${program} completion ${Object.keys(scripts).join('|')}`,
      '',
      `  bash  source <(${program} completion bash)`,
      `  zsh   source <(${program} completion zsh)`,
      `  fish  ${program} completion fish | source`,
    ],
    async run([shell = '', ...rest], world) {
      const script = scripts[shell];
      if (script === undefined || rest.length > 0)
        throw new CliError('Usage', `name a shell: ${Object.keys(scripts).join(', ')}`);
      world.out(script('tsmesh', [...commands, own, ...builtIn]).join('\n'));
      return exitCodes.ok;
    },
  };
}

/** `-n --namespace …`. */
function words(options: OptionTable): string {
  return Object.entries(options)
    .flatMap(([name, { short }]) => (short === undefined ? [] : [`-${short}`]).concat(`--${name}`))
    .join(' ');
}

function bash(program: string, commands: readonly Completable[]): string[] {
  const names = commands.map(({ name }) => name).join(' ');
  return [
    `_${program}() {`,
    '  local word="${COMP_WORDS[COMP_CWORD]}"',
    '  case "${COMP_CWORD}:${COMP_WORDS[1]}" in',
    `    1:*) COMPREPLY=($(compgen -W "${names}" -- "$word")) ;;`,
    ...commands.map(
      ({ name, options }) =>
        `    *:${name}) COMPREPLY=($(compgen -W "${words(options)}" -- "$word")) ;;`,
    ),
    '  esac',
    '}',
    `complete -o default -F _${program} ${program}`,
  ];
}

function zsh(program: string, commands: readonly Completable[]): string[] {
  const quoted = (text: string): string => text.replaceAll("'", "'\\''");
  return [
    `#compdef ${program}`,
    `_${program}() {`,
    '  if (( CURRENT == 2 )); then',
    '    local -a commands=(',
    ...commands.map(({ name, summary }) => `      '${name}:${quoted(summary)}'`),
    '    )',
    "    _describe 'command' commands",
    '    return',
    '  fi',
    '  case "${words[2]}" in',
    ...commands.map(({ name, options }) => `    ${name}) compadd -- ${words(options)}; _files ;;`),
    '  esac',
    '}',
    `compdef _${program} ${program}`,
  ];
}

function fish(program: string, commands: readonly Completable[]): string[] {
  const quoted = (text: string): string => text.replaceAll("'", "\\'");
  const first = `complete -c ${program} -n __fish_use_subcommand -f`;
  return commands.flatMap(({ name, summary, options }) => [
    `${first} -a ${name} -d '${quoted(summary)}'`,
    ...Object.entries(options).map(([option, { short, type, help }]) => {
      const shortForm = short === undefined ? '' : ` -s ${short}`;
      const value = type === 'string' ? ' -r' : '';
      const where = `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
      return `${where} -l ${option}${shortForm}${value} -d '${quoted(help)}'`;
    }),
  ]);
}
