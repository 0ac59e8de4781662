/*
 * `sallyport status`: policies with their conditions, and workloads with their agents and bundles.
 */
import type { Command } from 'commander';
import type { CommandContext, CommandHost } from '../context/command-context.ts';
import { EXIT_FINDINGS, EXIT_OK } from '../context/exit-codes.ts';
import { addClusterOptions, type ClusterOptions } from '../live/cluster-options.ts';
import { withSession } from '../live/session.ts';
import { formatInstallationStatus, isHealthy } from '../output/installation-status.ts';
import { formatDocument, type OutputFormat, outputOption } from '../output/structured.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';

interface StatusOptions extends ClusterOptions {
  readonly output: OutputFormat;
  readonly failOnProblems?: boolean;
  readonly systemNamespace: string;
}

/** Adds `status` to the program. */
export function addStatusCommand(program: Command, { context, finish }: CommandHost): void {
  addClusterOptions(program.command('status'), 'all')
    .summary('show policies, and workloads with their agents and bundles')
    .description(
      'Shows every policy with its conditions and the first problem, and every workload that has an agent or a bundle: pods, agents, and what is published. It reads what the controller has written: what agents enforce is known with the feed only, by the condition Programmed. A configuration that the controller refuses comes first.',
    )
    .option(
      '--fail-on-problems',
      'exit code 79 when a condition is not true or outdated, a pod has no agent, or the configuration is refused',
    )
    .option('--system-namespace <namespace>', 'namespace of the controller', 'sallyport-system')
    .addOption(outputOption())
    .action(async (options: StatusOptions) => finish(await status(options, context)));
}

async function status(options: StatusOptions, context: CommandContext): Promise<number> {
  const { readInstallationStatus } = await import('../live/installation-status.ts');
  const { stdout } = context;
  const found = await withSession(options, context, (session) => readInstallationStatus(session, options.systemNamespace));
  if (options.output === 'table') writeText(stdout, formatInstallationStatus(found, stdout));
  else writeDocument(stdout, formatDocument('Status', found, options.output));
  return options.failOnProblems === true && !isHealthy(found) ? EXIT_FINDINGS : EXIT_OK;
}
