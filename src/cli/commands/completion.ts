/*
 * `sallyport completion SHELL`: prints the completion script of a shell.
 */
import { Argument, type Command } from 'commander';
import { describeProgram } from '../completion/command-model.ts';
import { completionScript, SHELLS, type Shell } from '../completion/scripts.ts';
import type { CommandHost } from '../context/command-context.ts';
import { EXIT_OK } from '../context/exit-codes.ts';
import { writeDocument } from '../terminal/writers.ts';

/** Adds `completion` to the program. */
export function addCompletionCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('completion')
    .summary('print a completion script')
    .description(
      'Prints the completion script of a shell, or the program kubectl_complete-sallyport, by which `kubectl sallyport` is completed in every shell. The first lines of the script say how to load it.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action((shell: Shell) => {
      writeDocument(context.stdout, completionScript(shell, describeProgram(program)));
      finish(EXIT_OK);
    });
}
