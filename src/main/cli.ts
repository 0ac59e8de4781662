/*
 * Entry point of `sallyport` and `kubectl-sallyport`. Wiring only.
 */
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

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  readStdin: () => textOf(process.stdin, MAX_FILE_BYTES),
  cwd: process.cwd(),
  env: process.env,
  stopSignal,
  processes: {
    controller: entryPoint(() => import('./controller.ts')),
    agent: entryPoint(() => import('./agent.ts')),
  },
});
await flushLogs();
// A reader that has stopped must not keep the process alive.
if (isLogged(STDOUT) || isLogged(STDERR)) process.exit();
