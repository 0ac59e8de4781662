/*
 * `sallyport controller` and `sallyport agent`: the long-lived processes, for people who run one file. In: their flags,
 * untouched. Out: their exit codes. What they do is wired by the entry point.
 */
import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';

export function addProcessCommands(program: Command, { context, finish }: CommandHost): void {
  program
    .command('controller')
    .summary('run the controller')
    .description('Runs the controller in the foreground until SIGTERM. Flags and environment variables: docs/reference/configuration.md.')
    .argument('[flags...]', 'flags of the controller')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (flags: string[]) => finish(await context.processes.controller(flags, context)));
  program
    .command('agent')
    .summary('run one agent')
    .description('Runs an agent in the foreground until SIGTERM. Flags and environment variables: docs/reference/configuration.md.')
    .argument('[flags...]', 'flags of the agent')
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (flags: string[]) => finish(await context.processes.agent(flags, context)));
}
