/*
 * Entry point of the init container of injected pods, which exits when the inbound connections of the pod are redirected to its agent. Wiring only.
 */
import { CAPTURE_COMMANDS, WAIT_ENV } from '../api/kube/agent-contract.ts';
import { applyRedirect } from '../inject/redirect/apply-redirect.ts';
import { waitForRedirect } from '../inject/redirect/wait-for-redirect.ts';
import { flushLogs } from '../telemetry/line-writer.ts';
import { createLogger } from '../telemetry/logger.ts';
import { exitCodeOf } from './run-process.ts';

const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
const logger = createLogger({ level: 'info', component: 'redirect' });

async function redirect([command, ...args]: readonly string[]): Promise<object> {
  // Pods have this word in front since the agent's image did this, too.
  if (command === CAPTURE_COMMANDS.pod) return applyRedirect(args, stop.signal);
  if (command !== CAPTURE_COMMANDS.node) return applyRedirect(process.argv.slice(2), stop.signal);
  const nodeName = process.env[WAIT_ENV.nodeName];
  const options = {
    podUid: process.env[WAIT_ENV.podUid] ?? '',
    ...(nodeName === undefined ? {} : { nodeName }),
    report: (message: string) => logger.info(message),
  };
  return { families: await waitForRedirect(args, options, stop.signal) };
}

try {
  logger.info(await redirect(process.argv.slice(2)), 'inbound connections redirected');
  await flushLogs();
  process.exit(0);
} catch (error) {
  logger.fatal({ err: error }, 'inbound connections are not redirected');
  await flushLogs();
  process.exit(exitCodeOf(error));
}
