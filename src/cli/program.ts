/*
 * The program `sallyport`, called `kubectl sallyport` as well. In: arguments and a context. Out: an exit code; everything
 * else goes through the context's streams. Called by the entry point, by tests, and by the generator of the reference.
 */
import { Command, CommanderError } from 'commander';
import { InvariantError, RefusedError, TransientError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { type CommandContext, CommandFault, type CommandHost } from './command-context.ts';
import { addCheckCommand } from './commands/check.ts';
import { addCompileCommand } from './commands/compile.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addDiffCommand } from './commands/diff.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addInjectCommand } from './commands/inject.ts';
import { addProcessCommands } from './commands/processes.ts';
import { addRunCommand } from './commands/run.ts';
import { addTestCommand } from './commands/test.ts';
import { addVersionCommand } from './commands/version.ts';
import { EXIT_BAD_DATA, EXIT_FAILURE, EXIT_OK, EXIT_USAGE } from './exit-codes.ts';

/** The commander program, ready to parse; nothing is run before that. */
export function createProgram(host: CommandHost): Command {
  const { stdout, stderr } = host.context;
  const program = new Command('sallyport')
    .description("Istio's RequestAuthentication and AuthorizationPolicy, without Istio.")
    .version(VERSION, '--version', 'print the version')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
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
  addProcessCommands(program, host);
  addCompletionCommand(program, host);
  addVersionCommand(program, host);
  return program;
}

/**
 * Runs one command to its end.
 *
 * @param args without the names of Node and of the program
 * @returns one of the codes of exit-codes.ts, or what a long-lived process ended with; never throws
 */
export async function runCli(args: readonly string[], clusterState: CommandContext): Promise<number> {
  const context = { ...clusterState, readStdin: once(clusterState.readStdin) };
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
    return endWith(error, context);
  }
}

/** Standard input is there once; whoever asks again would be given an empty text. */
function once(read: CommandContext['readStdin']): CommandContext['readStdin'] {
  let isRead = false;
  return () => {
    if (isRead) return Promise.reject(new CommandFault(EXIT_USAGE, 'standard input was read already: - can stand for one file only'));
    isRead = true;
    return read();
  };
}

/** One line for a person; the exit code says whose fault it was. */
function endWith(error: unknown, { stderr, env }: CommandContext): number {
  // Commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CommandFault) {
    stderr.write(`sallyport: ${message}\n`);
    return error.exitCode;
  }
  if (error instanceof RefusedError || error instanceof TransientError) {
    stderr.write(`sallyport: ${message} [${error.code}]\n`);
    return error instanceof RefusedError ? EXIT_BAD_DATA : EXIT_FAILURE;
  }
  const code = error instanceof InvariantError ? error.code : 'SP_INVARIANT';
  const stack = error instanceof Error && env['SALLYPORT_DEBUG'] === '1' ? `\n${error.stack ?? ''}` : '';
  stderr.write(`sallyport: a bug: ${message} [${code}]; SALLYPORT_DEBUG=1 shows where${stack}\n`);
  return EXIT_FAILURE;
}
