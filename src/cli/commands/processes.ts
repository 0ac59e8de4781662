/*
 * `sallyport controller` and `sallyport agent`: run the long-running processes. Their flags are passed on unparsed; the entry
 * point wires what they do.
 */
import type { Command } from 'commander';
import type { CommandHost, RunProcess } from '../context/command-context.ts';

/** Adds `controller` and `agent` to the program. */
export function addProcessCommands(program: Command, host: CommandHost): void {
  const { controller, agent } = host.context.processes;
  addProcessCommand(program, host, { name: 'controller', summary: 'run the controller', subject: 'the controller', run: controller });
  addProcessCommand(program, host, { name: 'agent', summary: 'run one agent', subject: 'an agent', run: agent });
}

interface LongRunning {
  readonly name: string;
  readonly summary: string;
  /** With its article. */
  readonly subject: string;
  readonly run: RunProcess;
}

function addProcessCommand(program: Command, { context, finish }: CommandHost, { name, summary, subject, run }: LongRunning): void {
  program
    .command(name)
    .summary(summary)
    .description(`Runs ${subject} in the foreground until SIGTERM. Flags and environment variables: docs/reference/configuration.md.`)
    .argument('[flags...]', `flags of the ${name}`)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (flags: string[]) => finish(await run(flags, context)));
}
