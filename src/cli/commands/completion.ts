/*
 * `sallyport completion SHELL`: the completion script of a shell on stdout.
 */
import { Argument, type Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import { describeProgram } from '../command-model.ts';
import { completionScript, type Shell } from '../completion/scripts.ts';
import { EXIT_OK } from '../exit-codes.ts';

export function addCompletionCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('completion')
    .summary('print a completion script')
    .description('Prints the completion script of a shell; its first lines say how to load it.')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .action((shell: Shell) => {
      context.stdout.write(completionScript(shell, describeProgram(program)));
      finish(EXIT_OK);
    });
}
