/*
 * The command line as plain data, derived from the commander program. Completion scripts and docs/reference/cli.md are both
 * generated from it, so that options and descriptions are written once.
 */
import type { Command, Option } from 'commander';

/** One option of a command or of the program. */
export interface OptionModel {
  /** As in help, e.g. `-o, --output <format>`. */
  readonly flags: string;
  /** With its dash, e.g. `-o`; absent: the option has no short form. */
  readonly short?: string;
  /** With its dashes, e.g. `--output`; absent: the option has no long form. */
  readonly long?: string;
  readonly takesValue: boolean;
  /** Empty: any value. */
  readonly choices: readonly string[];
  /** As shown in help; absent: no default. */
  readonly defaultValue?: string;
  readonly isRequired: boolean;
  readonly description: string;
}

/** One command with its arguments and options. */
export interface CommandModel {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  readonly description: string;
  /** `term` as in help, e.g. `<path...>`. */
  readonly args: readonly { readonly term: string; readonly description: string; readonly choices: readonly string[] }[];
  readonly options: readonly OptionModel[];
  /** Its subcommands, one of which must be named; empty: none. */
  readonly commands: readonly CommandModel[];
  /** The command that its group runs when none is named. */
  readonly isDefault: boolean;
}

/** The options of the program itself and its commands, in the order of help. */
export interface ProgramModel {
  readonly options: readonly OptionModel[];
  readonly commands: readonly CommandModel[];
}

/** Describes a commander program. */
export function describeProgram(program: Command): ProgramModel {
  return { options: program.options.map(optionModel), commands: listed(program) };
}

/** Without hidden ones. */
function listed(command: Command): readonly CommandModel[] {
  const shown: readonly Command[] = command.createHelp().visibleCommands(command);
  return command.commands.filter((each) => shown.includes(each)).map(commandModel);
}

function commandModel(command: Command): CommandModel {
  return {
    name: command.name(),
    summary: command.summary(),
    description: command.description(),
    args: command.registeredArguments.map((argument) => {
      const name = argument.variadic ? `${argument.name()}...` : argument.name();
      return {
        term: argument.required ? `<${name}>` : `[${name}]`,
        description: argument.description,
        choices: argument.argChoices ?? [],
      };
    }),
    options: command.options.map(optionModel),
    commands: listed(command),
    isDefault: (command.parent as (Command & { readonly _defaultCommandName?: string }) | null)?._defaultCommandName === command.name(),
  };
}

function optionModel(option: Option): OptionModel {
  return {
    flags: option.flags,
    ...(option.short === undefined ? {} : { short: option.short }),
    ...(option.long === undefined || option.long === null ? {} : { long: option.long }),
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
    ...(typeof option.defaultValue === 'string' ? { defaultValue: option.defaultValue } : {}),
    isRequired: option.mandatory,
    description: option.description,
  };
}
