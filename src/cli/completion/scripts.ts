/*
 * Completion scripts for bash, zsh and fish, generated from the command model. They are static: completing a word runs no program.
 */
import type { CommandModel, OptionModel, ProgramModel } from './command-model.ts';

/** A supported shell. */
export type Shell = 'bash' | 'zsh' | 'fish';

const HELP: OptionModel = {
  flags: '-h, --help',
  short: '-h',
  long: '--help',
  takesValue: false,
  choices: [],
  isRequired: false,
  description: 'display help for command',
};

/** The script for `shell`; its comment says how to load it. */
export function completionScript(shell: Shell, model: ProgramModel): string {
  switch (shell) {
    case 'bash':
      return bashScript(model);
    case 'zsh':
      return zshScript(model);
    case 'fish':
      return fishScript(model);
  }
}

function bashScript({ options, commands }: ProgramModel): string {
  const words = [...commands.map((command) => command.name), ...flagsOf(options)];
  const cases = commands.map((command) => {
    const values = valueCases(command).map((line) => `        ${line}\n`);
    const words = [...flagsOf(command.options), ...command.args.flatMap((argument) => argument.choices)].join(' ');
    return `    ${command.name})\n      case "$previous" in\n${values.join('')}      esac\n      words="${words}" ;;\n`;
  });
  return `# bash completion of sallyport
# load it with: source <(sallyport completion bash)
_sallyport() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('')}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _sallyport sallyport kubectl-sallyport
`;
}

/** One line of a bash `case` for each option with a value: its choices, or files. */
function valueCases(command: CommandModel): readonly string[] {
  return command.options
    .filter((option) => option.takesValue)
    .map((option) => {
      const names = [option.short, option.long].filter((name) => name !== undefined).join('|');
      const generate = option.choices.length > 0 ? `-W "${option.choices.join(' ')}"` : '-f';
      return `${names}) COMPREPLY=($(compgen ${generate} -- "$current")); return ;;`;
    });
}

function zshScript({ options, commands }: ProgramModel): string {
  const list = commands.map((command) => `    '${zshText(`${command.name}:${command.summary}`)}'\n`);
  const cases = commands.map((command) => {
    const specs = [...command.options, HELP].map((option) => `${zshOption(option)} `).join('');
    const choices = command.args.flatMap((argument) => argument.choices);
    const rest = choices.length > 0 ? `'*:argument:(${choices.join(' ')})'` : `'*:file:_files'`;
    return `    ${command.name}) _arguments -s ${specs}${rest} ;;\n`;
  });
  return `#compdef sallyport kubectl-sallyport
# zsh completion of sallyport
# load it with: source <(sallyport completion zsh), after compinit
_sallyport() {
  local -a commands=(
${list.join('')}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _arguments ${options.map(zshOption).join(' ')}
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join('')}  esac
}
compdef _sallyport sallyport kubectl-sallyport
`;
}

function zshOption(option: OptionModel): string {
  const text = `[${zshText(option.description).replaceAll(/[[\]]/g, '')}]`;
  const value = option.takesValue ? (option.choices.length > 0 ? `:value:(${option.choices.join(' ')})` : ':file:_files') : '';
  return [option.short, option.long].flatMap((name) => (name === undefined ? [] : [`'${name}${text}${value}'`])).join(' ');
}

function zshText(text: string): string {
  return text.replaceAll("'", "'\\''");
}

function fishScript({ options, commands }: ProgramModel): string {
  const names = commands.map((command) => command.name).join(' ');
  const first = `not __fish_seen_subcommand_from ${names}`;
  const lines = [
    '# fish completion of sallyport',
    '# load it with: sallyport completion fish | source',
    ...options.map((option) => fishOption(option, first)),
    ...commands.map((command) => `complete -c sallyport -f -n ${fishText(first)} -a ${command.name} -d ${fishText(command.summary)}`),
  ];
  for (const command of commands) {
    const condition = `__fish_seen_subcommand_from ${command.name}`;
    lines.push(...[...command.options, HELP].map((option) => fishOption(option, condition)));
    const choices = command.args.flatMap((argument) => argument.choices);
    if (choices.length > 0) lines.push(`complete -c sallyport -f -n ${fishText(condition)} -a ${fishText(choices.join(' '))}`);
  }
  return `${lines.join('\n')}\n`;
}

function fishOption(option: OptionModel, condition: string): string {
  const parts = [`complete -c sallyport -n ${fishText(condition)}`];
  if (option.short !== undefined) parts.push(`-s ${option.short.slice(1)}`);
  if (option.long !== undefined) parts.push(`-l ${option.long.slice(2)}`);
  if (option.choices.length > 0) parts.push(`-x -a ${fishText(option.choices.join(' '))}`);
  else if (option.takesValue) parts.push('-r');
  return [...parts, `-d ${fishText(option.description)}`].join(' ');
}

function fishText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function flagsOf(options: readonly OptionModel[]): readonly string[] {
  return [...options, HELP].flatMap((option) => [option.short, option.long].filter((name) => name !== undefined));
}
