/*
 * `sallyport __complete WORD...`: what the last word could be, as kubectl asks it of `kubectl_complete-sallyport`: one word on a line, its
 * meaning after a tab, and at last `:0` (file names, too) or `:4` (nothing else). The protocol is that of cobra.
 * @see https://github.com/spf13/cobra/blob/main/completions.go, https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
 */
import type { CommandModel, OptionModel, ProgramModel } from './command-model.ts';

/** A word that could come, and its meaning; `''`: none. */
export type Candidate = readonly [word: string, meaning: string];

/** Names that only a cluster or a kubeconfig knows. */
export type NamesOf = 'target' | 'namespace' | 'context';

/** What the last word could be. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Also names of files. */
  readonly files: boolean;
  /** Also names of this kind. */
  readonly names?: NamesOf;
}

const NOTHING: Completion = { candidates: [], files: false };
const FILES: Completion = { candidates: [], files: true };
const HELP: Candidate = ['--help', 'display help for command'];
/** Options whose values are such names. */
export const NAMED_BY_OPTION: ReadonlyMap<string | undefined, NamesOf> = new Map([
  ['--namespace', 'namespace'],
  ['--context', 'context'],
]);
/** The argument that names a pod or workload of the cluster. */
export const TARGET = '<target>';
/** Commands whose arguments are pods and workloads, or files. */
export const TARGET_OR_FILE: ReadonlySet<string> = new Set(['explain']);

/** What the last of `words` could be. @param words of the command line after the name of the program; the last one may be empty or half written */
export function complete({ options, commands }: ProgramModel, words: readonly string[]): Completion {
  const current = words.at(-1) ?? '';
  let level: Pick<CommandModel, 'commands' | 'options'> = { options, commands };
  let command: CommandModel | undefined;
  let index = 0;
  for (; index < words.length - 1; index += 1) {
    const word = words[index] ?? '';
    const next = level.commands.find(({ name }) => name === word);
    if (next === undefined) break;
    [level, command] = [next, next];
  }
  const typed = words.slice(index, -1);
  const pending = optionAwaitingValue(level.options, typed.at(-1));
  const found = pending === undefined ? ofWord(current, { level, command, isFirst: typed.length === 0 }) : ofOption(pending);
  return { ...found, candidates: found.candidates.filter(([word]) => word.startsWith(current)) };
}

/** The output for `completion`, with the names that were found. */
export function formatCompletion({ candidates, files }: Completion, names: readonly string[]): string {
  const lines = [...candidates, ...names.map((name): Candidate => [name, ''])].map(([word, meaning]) =>
    meaning === '' ? word : `${word}\t${meaning}`,
  );
  return [...lines, files ? ':0' : ':4', ''].join('\n');
}

interface Position {
  readonly level: Pick<CommandModel, 'commands' | 'options'>;
  readonly command: CommandModel | undefined;
  readonly isFirst: boolean;
}

function ofWord(current: string, { level, command, isFirst }: Position): Completion {
  if (current.startsWith('-')) return { candidates: [...level.options.flatMap(flagsOf), HELP], files: false };
  if (level.commands.length > 0) {
    const candidates = isFirst ? level.commands.map(({ name, summary }): Candidate => [name, summary]) : [];
    // The default command of a group takes what is no command.
    const byDefault = level.commands.find(({ isDefault }) => isDefault);
    return byDefault === undefined ? { candidates, files: false } : { ...ofArguments(byDefault), candidates };
  }
  return command === undefined ? NOTHING : ofArguments(command);
}

function ofArguments({ name, args }: CommandModel): Completion {
  const choices = args.flatMap((argument) => argument.choices);
  if (choices.length > 0) return { candidates: choices.map((choice): Candidate => [choice, '']), files: false };
  if (TARGET_OR_FILE.has(name)) return { ...FILES, names: 'target' };
  if (args.some(({ term }) => term === TARGET)) return { ...NOTHING, names: 'target' };
  return args.length === 0 ? NOTHING : FILES;
}

function ofOption(option: OptionModel): Completion {
  if (option.choices.length > 0) return { candidates: option.choices.map((choice): Candidate => [choice, '']), files: false };
  const names = NAMED_BY_OPTION.get(option.long);
  return names === undefined ? FILES : { ...NOTHING, names };
}

function optionAwaitingValue(options: readonly OptionModel[], before: string | undefined): OptionModel | undefined {
  return options.find(({ takesValue, short, long }) => takesValue && before !== undefined && (before === short || before === long));
}

function flagsOf({ long, short, description }: OptionModel): readonly Candidate[] {
  const flag = long ?? short;
  return flag === undefined ? [] : [[flag, description]];
}
