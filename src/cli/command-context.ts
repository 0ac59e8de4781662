/*
 * What a command may touch of the world outside. In: made by the entry point from the process, by tests from strings. Out:
 * streams, working directory, environment, the signal to stop, and the long-lived processes that only the entry point can wire.
 */

/** A stream that a command writes to; colour and progress only where it is a terminal. */
export type OutputStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** Runs a process to its end. @param args flags of that process, unparsed @returns its exit code */
export type RunProcess = (args: readonly string[], context: CommandContext) => Promise<number>;

export interface CommandContext {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** All of standard input as text. */
  readonly readStdin: () => Promise<string>;
  /** Absolute; paths on the command line are relative to it. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C and SIGTERM: a command stops what it runs and returns. */
  readonly signal: AbortSignal;
  readonly processes: { readonly controller: RunProcess; readonly agent: RunProcess };
}

/** What each command's file gets: the context, and the place for its exit code. */
export interface CommandHost {
  readonly context: CommandContext;
  readonly finish: (exitCode: number) => void;
}

/** A reason to end with an exit code and one line on stderr. */
export class CommandFault extends Error {
  override readonly name: string = 'CommandFault';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
  }
}
