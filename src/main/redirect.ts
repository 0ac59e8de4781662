/*
 * Entry point of the init container that redirects the inbound connections of a pod to its agent, and exits. Wiring only.
 */
import { RefusedError } from '../errors.ts';
import { applyRedirect } from '../inject/redirect/apply-redirect.ts';
import { flushLogs } from '../telemetry/line-writer.ts';
import { createLogger } from '../telemetry/logger.ts';

/** Exit code for an invalid configuration (EX_CONFIG of sysexits.h). */
const EX_CONFIG = 78;

const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
try {
  const args = process.argv.slice(2);
  // Pods have this word in front since the agent's image did this, too.
  const applied = await applyRedirect(args[0] === 'redirect' ? args.slice(1) : args, stop.signal);
  createLogger({ level: 'info', component: 'redirect' }).info(applied, 'inbound connections redirected');
  await flushLogs();
  process.exit(0);
} catch (error) {
  createLogger({ level: 'error', component: 'redirect' }).fatal({ err: error }, 'inbound connections are not redirected');
  process.exit(error instanceof RefusedError && error.code === 'SP_CONFIG' ? EX_CONFIG : 1);
}
