/*
 * Completion scripts of shells, generated from the command model. Only names in a cluster are not in the scripts: for them, and for
 * PowerShell, they run `sallyport __complete`.
 */
import type { CommandModel, OptionModel, ProgramModel } from './command-model.ts';
import { NAMED_BY_OPTION, TARGET, TARGET_OR_FILE } from './complete.ts';

/** What a script is for: a shell, or `kubectl_complete-sallyport`, which kubectl runs. */
export type Shell = (typeof SHELLS)[number];
/** The same as a list. */
export const SHELLS = ['bash', 'zsh', 'fish', 'powershell', 'kubectl'] as const;

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
    case 'powershell':
      return POWERSHELL_SCRIPT;
    case 'kubectl':
      return KUBECTL_SCRIPT;
  }
}

/** Empty words are lost on the way to a program in PowerShell before 7.3. */
const POWERSHELL_SCRIPT = `# PowerShell completion of sallyport
# load it with: sallyport completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName sallyport, kubectl-sallyport -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
  $flags = @()
  if ($wordToComplete -eq '') { $flags = @('--next') }
  & sallyport __complete @flags @words 2>$null | Where-Object { $_ -notmatch '^:\\d+$' } | ForEach-Object {
    $name, $meaning = $_ -split "\`t", 2
    if (-not $meaning) { $meaning = $name }
    [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $meaning)
  }
}
`;

const KUBECTL_SCRIPT = `#!/bin/sh
# completion of kubectl sallyport: put it on the PATH as kubectl_complete-sallyport and make it executable
# sallyport completion kubectl > ~/.local/bin/kubectl_complete-sallyport && chmod +x ~/.local/bin/kubectl_complete-sallyport
exec kubectl-sallyport __complete "$@"
`;

function bashScript({ options, commands }: ProgramModel): string {
  return `# bash completion of sallyport
# load it with: source <(sallyport completion bash)
_sallyport_names() {
  COMPREPLY=($(compgen -W "$(sallyport __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | sed -e '/^:[0-9]*$/d' -e '/^-/d' -e 's/\t.*//')" -- "$current"))
}
_sallyport() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words
  COMPREPLY=()
${indented(bashChoice({ options, commands }, 1)).join('\n')}
  COMPREPLY+=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _sallyport sallyport kubectl-sallyport
`;
}

/** Lines that set the words to offer when the name of one of `commands` is the word at `position`. */
function bashChoice({ options, commands }: ProgramModel, position: number): readonly string[] {
  const names = [...commands.map(({ name }) => name), ...flagsOf(options)].join(' ');
  return [
    `if [ "$COMP_CWORD" -eq ${position} ]; then`,
    `  COMPREPLY=($(compgen -W "${names}" -- "$current"))`,
    '  return',
    'fi',
    `case "\${COMP_WORDS[${position}]}" in`,
    ...commands.flatMap((command) => indented([`${command.name})`, ...indented(bashCommand(command, position)), '  ;;'])),
    'esac',
  ];
}

function bashCommand(command: CommandModel, position: number): readonly string[] {
  if (command.commands.length > 0) return bashChoice(command, position + 1);
  const words = [...flagsOf(command.options), ...command.args.flatMap((argument) => argument.choices)].join(' ');
  const names = takesTarget(command) ? ['case "$current" in -*) ;; *) _sallyport_names ;; esac'] : [];
  return ['case "$previous" in', ...indented(valueCases(command)), 'esac', ...names, `words="${words}"`];
}

/** One line of a bash `case` for each option with a value: its choices, or files. */
function valueCases(command: CommandModel): readonly string[] {
  return command.options
    .filter((option) => option.takesValue)
    .map((option) => {
      const names = [option.short, option.long].filter((name) => name !== undefined).join('|');
      if (NAMED_BY_OPTION.has(option.long)) return `${names}) _sallyport_names; return ;;`;
      const generate = option.choices.length > 0 ? `-W "${option.choices.join(' ')}"` : '-f';
      return `${names}) COMPREPLY=($(compgen ${generate} -- "$current")); return ;;`;
    });
}

function zshScript({ options, commands }: ProgramModel): string {
  return `#compdef sallyport kubectl-sallyport
# zsh completion of sallyport
# load it with: source <(sallyport completion zsh), after compinit
_sallyport_names() {
  local -a names=(\${(f)"$(sallyport __complete "\${sallyport_words[@]}" 2>/dev/null | sed -e '/^:[0-9]*$/d' -e '/^-/d' -e 's/\t.*//')"})
  compadd -a names
}
_sallyport() {
  local -a sallyport_words=("\${(@)words[2,CURRENT]}")
${indented(zshChoice({ options, commands })).join('\n')}
}
compdef _sallyport sallyport kubectl-sallyport
`;
}

/** Lines that offer the names of `commands` for the second word, or complete the words of one of them. */
function zshChoice({ options, commands }: ProgramModel): readonly string[] {
  return [
    'local -a commands=(',
    ...commands.map((command) => `  '${zshText(`${command.name}:${command.summary}`)}'`),
    ')',
    'if (( CURRENT == 2 )); then',
    '  _describe command commands',
    `  _arguments ${[...options, HELP].map(zshOption).join(' ')}`,
    '  return',
    'fi',
    'local command="${words[2]}"',
    'shift words',
    '(( CURRENT-- ))',
    'case "$command" in',
    ...commands.flatMap((command) => indented([`${command.name})`, ...indented(zshCommand(command)), '  ;;'])),
    'esac',
  ];
}

function zshCommand(command: CommandModel): readonly string[] {
  if (command.commands.length > 0) return zshChoice(command);
  const specs = [...command.options, HELP].map((option) => `${zshOption(option)} `).join('');
  const choices = command.args.flatMap((argument) => argument.choices);
  return [
    `_arguments -s ${specs}${choices.length > 0 ? `'*:argument:(${choices.join(' ')})'` : `'*:${takesTarget(command) ? 'name:_sallyport_names' : 'file:_files'}'`}`,
  ];
}

function zshOption(option: OptionModel): string {
  const text = `[${zshText(option.description).replaceAll(/[[\]]/g, '')}]`;
  const value = option.takesValue ? zshValue(option) : '';
  return [option.short, option.long].flatMap((name) => (name === undefined ? [] : [`'${name}${text}${value}'`])).join(' ');
}

function zshValue({ choices, long }: OptionModel): string {
  if (choices.length > 0) return `:value:(${choices.join(' ')})`;
  return NAMED_BY_OPTION.has(long) ? ':name:_sallyport_names' : ':file:_files';
}

function zshText(text: string): string {
  return text.replaceAll("'", "'\\''");
}

/** Names in the cluster; a flag in place of an empty word, which a substitution would drop. */
const FISH_NAMES = `(sallyport __complete (commandline -opc)[2..] (commandline -ct | string collect --allow-empty) 2>/dev/null | string match -v -r '^(:|-)')`;

function fishScript(program: ProgramModel): string {
  const lines = ['# fish completion of sallyport', '# load it with: sallyport completion fish | source', ...fishChoice(program, '')];
  return `${lines.join('\n')}\n`;
}

/** @param within condition under which one of the commands is to be named; `''`: it is the first word */
function fishChoice({ options, commands }: ProgramModel, within: string): readonly string[] {
  const unnamed = `${within}not __fish_seen_subcommand_from ${commands.map(({ name }) => name).join(' ')}`;
  return [
    ...options.map((option) => fishOption(option, unnamed)),
    ...commands.map(({ name, summary }) => `complete -c sallyport -f -n ${fishText(unnamed)} -a ${name} -d ${fishText(summary)}`),
    ...commands.flatMap((command) => fishCommand(command, `${within}__fish_seen_subcommand_from ${command.name}`)),
  ];
}

function fishCommand(command: CommandModel, condition: string): readonly string[] {
  if (command.commands.length > 0) return fishChoice(command, `${condition}; and `);
  const lines = [...command.options, HELP].map((option) => fishOption(option, condition));
  const choices = command.args.flatMap((argument) => argument.choices);
  if (choices.length > 0) lines.push(`complete -c sallyport -f -n ${fishText(condition)} -a ${fishText(choices.join(' '))}`);
  if (takesTarget(command)) lines.push(`complete -c sallyport -n ${fishText(condition)} -a ${fishText(FISH_NAMES)}`);
  return lines;
}

function fishOption(option: OptionModel, condition: string): string {
  const parts = [`complete -c sallyport -n ${fishText(condition)}`];
  if (option.short !== undefined) parts.push(`-s ${option.short.slice(1)}`);
  if (option.long !== undefined) parts.push(`-l ${option.long.slice(2)}`);
  if (option.choices.length > 0) parts.push(`-x -a ${fishText(option.choices.join(' '))}`);
  else if (NAMED_BY_OPTION.has(option.long)) parts.push(`-x -a ${fishText(FISH_NAMES)}`);
  else if (option.takesValue) parts.push('-r');
  return [...parts, `-d ${fishText(option.description)}`].join(' ');
}

function fishText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function takesTarget({ name, args }: CommandModel): boolean {
  return TARGET_OR_FILE.has(name) || args.some(({ term }) => term === TARGET);
}

function flagsOf(options: readonly OptionModel[]): readonly string[] {
  return [...options, HELP].flatMap((option) => [option.short, option.long].filter((name) => name !== undefined));
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`);
}
