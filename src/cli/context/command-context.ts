/*
 * What a command may use of its environment. The entry point builds the context from the process, tests from strings, so that
 * no command touches a global stream or ends the process.
 */

import type { Worker } from 'node:worker_threads';

/** A stream that a command writes to. Colour and progress appear only if it is a terminal. */
export type OutputStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** Runs a process to its end. @param args flags of that process, unparsed @returns its exit code */
export type RunProcess = (args: readonly string[], context: CommandContext) => Promise<number>;

/** Streams, working directory, environment and stop signal of one command, and the long-running processes it may start. */
export interface CommandContext {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** All of standard input, decoded as UTF-8. */
  readonly readStdin: () => Promise<string>;
  /** Absolute path. Paths on the command line are relative to it. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Aborted by SIGINT (Ctrl-C) or SIGTERM, for a command that has something to end: having called this, it stops what it is running and
   * returns. Without the call, and at the second signal, the signal ends the process, whatever the command is busy with.
   */
  readonly stopSignal: () => AbortSignal;
  /** Starts a worker that runs `commands/proof-worker.ts`, whose file only the entry point knows. */
  readonly startProofWorker: () => Worker;
  /** Processes that only the entry point can wire. */
  readonly processes: { readonly controller: RunProcess; readonly agent: RunProcess };
}

/** What each command gets: the context, and a callback for its exit code. */
export interface CommandHost {
  readonly context: CommandContext;
  readonly finish: (exitCode: number) => void;
}

/** Ends the command with an exit code and a line on stderr for each message. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
  /** One of exit-codes.ts. */
  readonly exitCode: number;
  readonly messages: readonly string[];

  constructor(exitCode: number, messages: string | readonly string[], options: { readonly cause?: unknown } = {}) {
    const all = typeof messages === 'string' ? [messages] : messages;
    super(all.join('\n'), options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
    this.messages = all;
  }
}
