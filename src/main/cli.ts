/*
 * Entry point of `sallyport` and `kubectl-sallyport`. Wiring only.
 */
import { basename } from 'node:path';
import { isMainThread, Worker } from 'node:worker_threads';
import type { RunProcess } from '../cli/context/command-context.ts';
import { MAX_FILE_BYTES } from '../cli/input/read-file.ts';
import { runCli } from '../cli/program.ts';
import { textOf } from '../regular-file.ts';
import { flushLogs, isLogged } from '../telemetry/line-writer.ts';

const STDOUT = 1;
const STDERR = 2;
/** Exit codes of a process that a signal ended, as shells report them. */
const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

// A signal without a handler ends a process even while it computes, except the first process of a container.
const isInit = process.pid === 1;
for (const name of SIGNALS) if (isInit) process.on(name, exitBySignal);

function exitBySignal(name: NodeJS.Signals): never {
  process.exit(SIGNAL_CODES[name as keyof typeof SIGNAL_CODES]);
}

/** From now on the first signal is for the command to handle. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of SIGNALS) process.off(name, exitBySignal).once(name, () => stop.abort());
  return stop.signal;
}

// A reader that closes the pipe early (`sallyport compile DIR | head`) is not an error. `sallyport run` goes on without its access log.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!isLogged(STDOUT)) process.exit(error.code === 'EPIPE' ? 0 : 1);
});

/** Runs another entry point, which reads the command line of the process and ends the process itself. */
function entryPoint(load: () => Promise<unknown>): RunProcess {
  return async (args) => {
    process.argv.splice(2, process.argv.length, ...args);
    for (const name of SIGNALS) process.off(name, exitBySignal);
    await load();
    return new Promise<never>(() => undefined);
  };
}

/** kubectl runs `kubectl_complete-sallyport`, a link to this program, to complete a word. */
function commandLine([, program = '', ...args]: readonly string[]): readonly string[] {
  return basename(program) === 'kubectl_complete-sallyport' ? ['__complete', ...args] : args;
}

async function runCommand(): Promise<void> {
  process.exitCode = await runCli(commandLine(process.argv), {
    stdout: process.stdout,
    stderr: process.stderr,
    readStdin: () => textOf(process.stdin, MAX_FILE_BYTES),
    cwd: process.cwd(),
    env: process.env,
    stopSignal,
    // The file of the worker is this one: the bundler gives the other files names that change.
    startProofWorker: () => new Worker(new URL(import.meta.url)),
    processes: {
      controller: entryPoint(() => import('./controller.ts')),
      agent: entryPoint(() => import('./agent.ts')),
    },
  });
  await flushLogs();
  // Neither a reader that has stopped nor a connection that is still being opened must keep the process alive.
  if (!isLogged(STDOUT)) await written(process.stdout);
  if (!isLogged(STDERR)) await written(process.stderr);
  process.exit();
}

/** Until everything before is written: to a pipe, a process writes in the background on some systems. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}

if (isMainThread) await runCommand();
else await import('../cli/commands/proof-worker.ts');
