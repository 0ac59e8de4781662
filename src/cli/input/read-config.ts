/*
 * Reads `--config FILE` of the commands that need no cluster. It is the configuration file of the controller, so that one file
 * configures the controller and the commands alike.
 */

import { parseYamlValue } from '../../api/kube/yaml-documents.ts';
import { type ControllerConfig, configNotes, loadControllerConfig } from '../../config/controller.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { writeMessage } from '../terminal/writers.ts';
import { errorReason } from './error-reason.ts';
import { readInput } from './read-file.ts';

/** The configuration in `file`, or the defaults if no file is named. @throws CommandError that names the file */
export async function readConfig(file: string | undefined, context: CommandContext): Promise<ControllerConfig> {
  if (file === undefined) return loadControllerConfig({ args: [], env: {} });
  try {
    const fileText = await readInput(file, context);
    const config = loadControllerConfig({ args: [], env: {}, fileText });
    for (const note of configNotes(fileText)) writeMessage(context.stderr, `${file}: info: ${note}`);
    return config;
  } catch (error) {
    throw new CommandError(EXIT_BAD_DATA, `${file}: ${errorReason(error)}`, { cause: error });
  }
}

/** Sections that `sallyport run` uses; it has no API server, no webhook and no replicas. */
const USED_BY_RUN: ReadonlySet<string> = new Set(['mesh', 'jwks']);

/** Says which sections of the configuration `sallyport run` does not use. The file has been read without an error before. */
export async function noteUnused(file: string | undefined, context: CommandContext): Promise<void> {
  if (file === undefined || file === '-') return;
  const value: unknown = parseYamlValue(await readInput(file, context));
  const unused = Object.keys(value ?? {}).filter((section) => !USED_BY_RUN.has(section));
  if (unused.length > 0) writeMessage(context.stderr, `${file}: run does not use ${unused.join(', ')}`);
}
