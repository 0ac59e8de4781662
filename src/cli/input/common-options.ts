/*
 * Options and option values that several commands share.
 */
import { InvalidArgumentError, Option } from 'commander';
import { CommandError } from '../context/command-context.ts';
import { EXIT_USAGE } from '../context/exit-codes.ts';

/** The option `--config <file>`; {@link readConfig} reads the file. */
export function configOption(): Option {
  return new Option('--config <file>', 'controller configuration: root namespace, extension providers, path normalization');
}

/** The repeatable option `--jwks <file>`; {@link readKeySets} reads the files. @param purpose what the keys are for */
export function jwksOption(purpose: string): Option {
  return new Option('--jwks <file>', `${purpose}; \`ISSUER=FILE\`: keys of one issuer; may be repeated`)
    .argParser((file: string, before: readonly string[]) => [...before, file])
    .default([], 'none');
}

/** The option `--at <time>`; {@link parseTime} parses its value. */
export function timeOption(): Option {
  return new Option('--at <time>', 'time of the request, e.g. 2026-01-31T12:00:00Z (default: now)');
}

/** Whole Unix seconds of an ISO 8601 time; of now when `text` is absent. @throws CommandError with exit code 64 */
export function parseTime(text: string | undefined): number {
  const ms = text === undefined ? Date.now() : Date.parse(text);
  if (Number.isNaN(ms)) throw new CommandError(EXIT_USAGE, `invalid time "${text}": expected the form 2026-01-31T12:00:00Z`);
  return Math.floor(ms / 1000);
}

/** A parser for option values that are whole numbers from `min` to `max`. */
export function integerParser(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return value;
  };
}
