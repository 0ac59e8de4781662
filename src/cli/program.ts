/*
 * The program `sallyport`, also run as `kubectl sallyport`: builds the commander program and turns every outcome of a command
 * into an exit code. The entry point, the tests and the generator of the reference use it.
 */
import { Command, CommanderError } from 'commander';
import { InvariantError, RefusedError, TransientError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { exampleLines } from './commands/examples.ts';
import { type CommandContext, CommandError, type CommandHost } from './context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FAILURE, EXIT_OK, EXIT_USAGE } from './context/exit-codes.ts';
import { writeMessage, writeText } from './terminal/writers.ts';

type AddCommand = (program: Command, host: CommandHost) => void;

/** The module of each command, in the order of help. Only the command that runs is loaded: most of the time to start is loading modules. */
const COMMANDS: ReadonlyMap<string, () => Promise<AddCommand>> = new Map([
  ['run', async () => (await import('./commands/run.ts')).addRunCommand],
  ['check', async () => (await import('./commands/check.ts')).addCheckCommand],
  ['compile', async () => (await import('./commands/compile.ts')).addCompileCommand],
  ['explain', async () => (await import('./commands/explain.ts')).addExplainCommand],
  ['test', async () => (await import('./commands/test.ts')).addTestCommand],
  ['diff', async () => (await import('./commands/diff.ts')).addDiffCommand],
  ['prove', async () => (await import('./commands/prove.ts')).addProveCommand],
  ['inject', async () => (await import('./commands/inject.ts')).addInjectCommand],
  ['status', async () => (await import('./commands/status.ts')).addStatusCommand],
  ['bundle', async () => (await import('./commands/bundle.ts')).addBundleCommand],
  ['logs', async () => (await import('./commands/logs.ts')).addLogsCommand],
  ['bug-report', async () => (await import('./commands/bug-report.ts')).addBugReportCommand],
  ['keys', async () => (await import('./commands/keys.ts')).addKeysCommand],
  ['controller', async () => (await import('./commands/processes.ts')).addControllerCommand],
  ['agent', async () => (await import('./commands/processes.ts')).addAgentCommand],
  ['completion', async () => (await import('./commands/completion.ts')).addCompletionCommand],
  ['__complete', async () => (await import('./commands/complete.ts')).addCompleteCommand],
  ['version', async () => (await import('./commands/version.ts')).addVersionCommand],
]);

/** Commands that describe the whole program. */
const OF_ALL_COMMANDS: ReadonlySet<string> = new Set(['completion', '__complete']);

/**
 * The commander program, ready to parse; creating it runs nothing.
 * @param first first word of the command line: if it names a command, only what that command needs is added; absent: all commands are
 */
export async function createProgram(host: CommandHost, first?: string): Promise<Command> {
  const { stdout, stderr } = host.context;
  const program = new Command('sallyport')
    .description("Istio's RequestAuthentication and AuthorizationPolicy, without Istio.")
    .version(VERSION, '--version', 'print the version')
    .helpCommand('help [command...]', 'display help for command')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => writeText(stdout, text),
      writeErr: (text) => writeText(stderr, text),
      outputError: (text, write) => write(`sallyport: ${text.replace(/^error: /, '')}`),
      getOutHasColors: () => stdout.isTTY === true,
      getErrHasColors: () => stderr.isTTY === true,
    });
  const only = first === undefined || OF_ALL_COMMANDS.has(first) ? undefined : COMMANDS.get(first);
  const added = await Promise.all((only === undefined ? [...COMMANDS.values()] : [only]).map((load) => load()));
  for (const add of added) add(program, host);
  for (const command of program.commands) addExamples(command, command.name());
  return program;
}

/** @param path the words that name the command, e.g. `keys show` */
function addExamples(command: Command, path: string): void {
  const lines = exampleLines(path);
  if (lines.length > 0) command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`);
  for (const each of command.commands) addExamples(each, `${path} ${each.name()}`);
}

/** `help keys show` is `keys show --help`, and `help` without a command `--help`. */
function withoutHelpWord([first, ...words]: readonly string[]): readonly string[] {
  if (first !== 'help') return first === undefined ? [] : [first, ...words];
  const [name] = words;
  return name === undefined || name.startsWith('-') || COMMANDS.has(name) ? [...words, '--help'] : [name];
}

/**
 * Runs one command to its end. Never throws.
 *
 * @param given arguments without the names of Node.js and of the program
 * @returns one of the codes in exit-codes.ts, or the exit code of a long-running process
 */
export async function runCli(given: readonly string[], environment: CommandContext): Promise<number> {
  const args = withoutHelpWord(given);
  const context = { ...environment, readStdin: once(environment.readStdin) };
  let exitCode = EXIT_OK;
  const finish = (code: number): void => {
    exitCode = code;
  };
  try {
    const program = await createProgram({ context, finish }, args[0]);
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    return reportError(error, context);
  }
}

/** Standard input can be read once: a second read would return an empty string. */
function once(read: CommandContext['readStdin']): CommandContext['readStdin'] {
  let isRead = false;
  return () => {
    if (isRead) return Promise.reject(new CommandError(EXIT_USAGE, 'standard input was already read: use - for one file only'));
    isRead = true;
    return read();
  };
}

/** Writes one line about `error` and returns the exit code for it. */
function reportError(error: unknown, { stderr, env }: CommandContext): number {
  // Commander has already written the message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CommandError) {
    for (const one of error.messages) writeMessage(stderr, one);
    return error.exitCode;
  }
  if (error instanceof RefusedError || error instanceof TransientError) {
    writeMessage(stderr, `${message} [${error.code}]`);
    return error instanceof RefusedError ? EXIT_BAD_DATA : EXIT_FAILURE;
  }
  const code = error instanceof InvariantError ? error.code : 'SP_INVARIANT';
  writeMessage(stderr, `internal error: ${message} [${code}]; set SALLYPORT_DEBUG=1 for a stack trace`);
  if (error instanceof Error && env['SALLYPORT_DEBUG'] === '1') writeText(stderr, `${error.stack ?? ''}\n`);
  return EXIT_FAILURE;
}
