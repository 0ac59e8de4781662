/*
 * The command line as plain data. In: the commander program. Out: commands with arguments and options, for completion
 * scripts and for docs/reference/cli.md; nothing is written down twice.
 */
import type { Command, Option } from 'commander';

export interface OptionModel {
  /** As in help, e.g. `-o, --output <format>`. */
  readonly flags: string;
  /** With dashes; absent when there is none. */
  readonly short?: string;
  readonly long?: string;
  readonly takesValue: boolean;
  /** Empty: any value. */
  readonly choices: readonly string[];
  /** As text; absent: none. */
  readonly defaultValue?: string;
  readonly isRequired: boolean;
  readonly description: string;
}

export interface CommandModel {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  readonly description: string;
  /** As in help, e.g. `<path...>`. */
  readonly args: readonly { readonly term: string; readonly description: string; readonly choices: readonly string[] }[];
  readonly options: readonly OptionModel[];
}

/** Options of the program itself, then its commands in the order of help. */
export function describeProgram(program: Command): {
  readonly options: readonly OptionModel[];
  readonly commands: readonly CommandModel[];
} {
  return { options: program.options.map(optionModel), commands: program.commands.map(commandModel) };
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
