/*
 * `--config FILE` of the commands that need no cluster. In: the path of the controller's configuration file. Out: the
 * configuration, so that one file serves controller, `run`, `check`, `compile` and `inject` alike.
 */
import { type ControllerConfig, loadControllerConfig } from '../../config/controller.ts';
import type { CommandContext } from '../command-context.ts';
import { CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA } from '../exit-codes.ts';
import { readInput } from './read-manifests.ts';
import { systemReason } from './system-reason.ts';

/** The configuration in `file`, the defaults when no file is named. @throws CommandFault that names the file */
export async function readConfig(file: string | undefined, context: CommandContext): Promise<ControllerConfig> {
  if (file === undefined) return loadControllerConfig({ args: [], env: {} });
  try {
    return loadControllerConfig({ args: [], env: {}, fileText: await readInput(file, context) });
  } catch (error) {
    throw new CommandFault(EXIT_BAD_DATA, `${file}: ${systemReason(error)}`, { cause: error });
  }
}
