/*
 * Entry point of `sallyport` and `kubectl-sallyport`. Wiring only.
 */
import { text } from 'node:stream/consumers';
import type { RunProcess } from '../cli/context/command-context.ts';
import { runCli } from '../cli/program.ts';
import { flushLogs, isLogged } from '../telemetry/line-writer.ts';

const STDOUT = 1;
const STDERR = 2;
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
// A reader that closes the pipe early (`sallyport compile DIR | head`) is not an error. `sallyport run` goes on without its access log.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!isLogged(STDOUT)) process.exit(error.code === 'EPIPE' ? 0 : 1);
});

/** Runs another entry point, which reads the command line of the process and ends the process itself. */
function entryPoint(load: () => Promise<unknown>): RunProcess {
  return async (args) => {
    process.argv.splice(2, process.argv.length, ...args);
    await load();
    return new Promise<never>(() => undefined);
  };
}

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  readStdin: () => text(process.stdin),
  cwd: process.cwd(),
  env: process.env,
  signal: stop.signal,
  processes: {
    controller: entryPoint(() => import('./controller.ts')),
    agent: entryPoint(() => import('./agent.ts')),
  },
});
await flushLogs();
// A reader that has stopped must not keep the process alive.
if (isLogged(STDOUT) || isLogged(STDERR)) process.exit();
