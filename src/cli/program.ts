/*
 * The program `sallyport`, also run as `kubectl sallyport`: builds the commander program and turns every outcome of a command
 * into an exit code. The entry point, the tests and the generator of the reference use it.
 */
import { Command, CommanderError } from 'commander';
import { InvariantError, RefusedError, TransientError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { addBundleCommand } from './commands/bundle.ts';
import { addCheckCommand } from './commands/check.ts';
import { addCompileCommand } from './commands/compile.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addDiffCommand } from './commands/diff.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addInjectCommand } from './commands/inject.ts';
import { addKeysCommand } from './commands/keys.ts';
import { addProcessCommands } from './commands/processes.ts';
import { addRunCommand } from './commands/run.ts';
import { addTestCommand } from './commands/test.ts';
import { addVersionCommand } from './commands/version.ts';
import { type CommandContext, CommandError, type CommandHost } from './context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FAILURE, EXIT_OK, EXIT_USAGE } from './context/exit-codes.ts';
import { writeMessage, writeText } from './terminal/writers.ts';

/** The commander program with all commands, ready to parse; creating it runs nothing. */
export function createProgram(host: CommandHost): Command {
  const { stdout, stderr } = host.context;
  const program = new Command('sallyport')
    .description("Istio's RequestAuthentication and AuthorizationPolicy, without Istio.")
    .version(VERSION, '--version', 'print the version')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => writeText(stdout, text),
      writeErr: (text) => writeText(stderr, text),
      outputError: (text, write) => write(`sallyport: ${text.replace(/^error: /, '')}`),
      getOutHasColors: () => stdout.isTTY === true,
      getErrHasColors: () => stderr.isTTY === true,
    });
  addRunCommand(program, host);
  addCheckCommand(program, host);
  addCompileCommand(program, host);
  addExplainCommand(program, host);
  addTestCommand(program, host);
  addDiffCommand(program, host);
  addInjectCommand(program, host);
  addBundleCommand(program, host);
  addKeysCommand(program, host);
  addProcessCommands(program, host);
  addCompletionCommand(program, host);
  addVersionCommand(program, host);
  return program;
}

/**
 * Runs one command to its end. Never throws.
 *
 * @param args without the names of Node.js and of the program
 * @returns one of the codes in exit-codes.ts, or the exit code of a long-running process
 */
export async function runCli(args: readonly string[], environment: CommandContext): Promise<number> {
  const context = { ...environment, readStdin: once(environment.readStdin) };
  let exitCode = EXIT_OK;
  const finish = (code: number): void => {
    exitCode = code;
  };
  const program = createProgram({ context, finish });
  try {
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
