/*
 * Entry point of `sallyport` and `kubectl-sallyport`: the process in, a command run, its exit code out. Wiring only.
 */
import { text } from 'node:stream/consumers';
import type { RunProcess } from '../cli/command-context.ts';
import { runCli } from '../cli/program.ts';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
// A reader that has seen enough (`sallyport compile DIR | head`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

/** Those entry points read the command line of the process, and end it themselves. */
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
