/*
 * The context of a command in tests: streams that collect their output, a working directory, an empty environment.
 */
import { Writable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import type { CommandContext, OutputStream } from '../../src/cli/context/command-context.ts';
import { runCli } from '../../src/cli/program.ts';

/** A stream that collects what is written to it. */
export class Collected extends Writable {
  text = '';
  /** Called with each part. */
  onText: (text: string) => void = () => undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    this.onText(chunk.toString());
    done();
  }
}

/** Exit code and output of a command. */
export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command; `context` replaces parts of the default context. */
export async function runCommand(
  args: readonly string[],
  context: Partial<Omit<CommandContext, 'stdout' | 'stderr'>> & {
    readonly stderr?: Collected & OutputStream;
    readonly stdin?: string;
    readonly onStdout?: (text: string) => void;
  } = {},
): Promise<CliResult> {
  const stdout = new Collected();
  const { stdin = '', stderr = new Collected(), onStdout, ...rest } = context;
  if (onStdout !== undefined) stdout.onText = onStdout;
  const nothing = (): Promise<never> => Promise.reject(new Error('not wired in this test'));
  const exitCode = await runCli(args, {
    stdout,
    stderr,
    readStdin: () => Promise.resolve(stdin),
    cwd: '/nonexistent',
    env: {},
    stopSignal: () => new AbortController().signal,
    startProofWorker: () => new Worker(new URL('../../src/cli/commands/proof-worker.ts', import.meta.url)),
    processes: { controller: nothing, agent: nothing },
    ...rest,
  });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}
