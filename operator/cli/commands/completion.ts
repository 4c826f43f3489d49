// `tsmesh completion`: a script that lets a shell complete commands and options, made of their tables, and names, which it asks
// `tsmesh __complete` for.

import type { OptionTable } from '../arguments.ts';
import type { Command } from '../command.ts';
import { completeName } from './complete.ts';
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
    '  local word="${COMP_WORDS[COMP_CWORD]}" names="" options=""',
    '  if [ "$COMP_CWORD" = 1 ]; then',
    `    COMPREPLY=($(compgen -W "${names}" -- "$word"))`,
    '    return',
    '  fi',
    '  case "${COMP_WORDS[1]}" in',
    ...commands.map(({ name, options }) => `    ${name}) options="${words(options)}" ;;`),
    '  esac',
    '  if [ "${word#-}" = "$word" ]; then',
    `    names="$("\${COMP_WORDS[0]}" ${completeName} "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)"`,
    '  fi',
    '  COMPREPLY=($(compgen -W "${names:-$options}" -- "$word"))',
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
    '  local -a options names',
    '  case "${words[2]}" in',
    ...commands.map(({ name, options }) => `    ${name}) options=(${words(options)}) ;;`),
    '  esac',
    `  [[ "$PREFIX" == -* ]] || names=(\${(f)"$("\${words[1]}" ${completeName} "\${(@)words[2,CURRENT-1]}" 2>/dev/null)"})`,
    '  if (( ${#names} )); then compadd -- $names; else compadd -- $options; _files; fi',
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
    `complete -c ${program} -n '__fish_seen_subcommand_from ${name}' -a '(${program} ${completeName} (commandline -opc)[2..-1] 2>/dev/null)'`,
  ]);
}
