/*
 * Reads `--config FILE` of the commands that need no cluster. It is the configuration file of the controller, so that one file
 * configures the controller and the commands alike.
 */
import { type ControllerConfig, loadControllerConfig } from '../../config/controller.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { errorReason } from './error-reason.ts';
import { readInput } from './read-file.ts';

/** The configuration in `file`, or the defaults if no file is named. @throws CommandError that names the file */
export async function readConfig(file: string | undefined, context: CommandContext): Promise<ControllerConfig> {
  if (file === undefined) return loadControllerConfig({ args: [], env: {} });
  try {
    return loadControllerConfig({ args: [], env: {}, fileText: await readInput(file, context) });
  } catch (error) {
    throw new CommandError(EXIT_BAD_DATA, `${file}: ${errorReason(error)}`, { cause: error });
  }
}
