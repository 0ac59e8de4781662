/*
 * `sallyport bug-report`: an archive with the state of an installation, without secrets.
 */
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Command, Option } from 'commander';
import { replaceFile } from '../../replace-file.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_FAILURE, EXIT_OK } from '../context/exit-codes.ts';
import { integerParser } from '../input/common-options.ts';
import { errorReason } from '../input/error-reason.ts';
import { addClusterOptions, type ClusterOptions } from '../live/cluster-options.ts';
import { withSession } from '../live/session.ts';
import { plural } from '../output/plural.ts';
import { tarOf } from '../output/tar.ts';
import { writeMessage, writeText } from '../terminal/writers.ts';

interface ReportOptions extends ClusterOptions {
  readonly systemNamespace: string;
  readonly logLines: number;
  readonly file: string;
}

const MAX_LINES = 100_000;

/** Adds `bug-report` to the program. */
export function addBugReportCommand(program: Command, { context, finish }: CommandHost): void {
  addClusterOptions(program.command('bug-report'), 'all')
    .summary('collect what a bug report needs')
    .description(
      'Writes an archive with versions, the controller (objects, events, logs), policies with their statuses, what is published and which workloads have agents, of one namespace or of all. No Secret is read; tokens, symmetric keys and the values of provider headers are replaced. Names, addresses and policies stay: read the archive before you send it.',
    )
    .option('--system-namespace <namespace>', 'namespace of the controller', 'sallyport-system')
    .addOption(
      new Option('--log-lines <n>', 'lines of each log of the controllers').argParser(integerParser(1, MAX_LINES)).default(2000, '2000'),
    )
    .option('-f, --file <file>', 'file to write', 'sallyport-bug-report.tar.gz')
    .action(async (options: ReportOptions) => finish(await report(options, context)));
}

async function report(options: ReportOptions, context: CommandContext): Promise<number> {
  const { collectReport } = await import('../live/bug-report.ts');
  const { systemNamespace: system, logLines } = options;
  const files = await withSession(options, context, (session) => collectReport(session, { system, logLines }));
  const directory = 'sallyport-bug-report';
  const archive = tarOf(new Map([...files].map(([name, text]) => [`${directory}/${name}`, text])));
  const compressed = await promisify(gzip)(archive);
  try {
    await replaceFile(resolve(context.cwd, options.file), compressed);
  } catch (error) {
    throw new CommandError(EXIT_FAILURE, `${options.file}: ${errorReason(error)}`, { cause: error });
  }
  writeText(context.stdout, `${options.file}\n`);
  const missing = files.get('errors.txt')?.trimEnd().split('\n') ?? [];
  for (const line of missing) writeMessage(context.stderr, `not collected: ${line}`);
  writeText(context.stderr, `${plural(files.size, 'file')}, ${Math.ceil(compressed.length / 1024)} KiB\n`);
  return EXIT_OK;
}
