/*
 * Entry point of the program that runs on each node, as a DaemonSet, and sets the redirects of pods without NET_ADMIN. Wiring only.
 */
import packageJson from '../../package.json' with { type: 'json' };
import { createKubeClient } from '../cluster/client.ts';
import { loadNodeConfig } from '../config/node.ts';
import { RefusedError } from '../errors.ts';
import { openNamespaces } from '../node-redirect/network-namespaces.ts';
import { createNodeRedirect } from '../node-redirect/redirect-pods.ts';
import { startOpsServer } from '../ops-server/ops-server.ts';
import { flushLogs } from '../telemetry/line-writer.ts';
import { createLogger, exitOnUncaught } from '../telemetry/logger.ts';
import { createNodeMetrics } from '../telemetry/node-metrics.ts';

/** Exit code for an invalid configuration (EX_CONFIG of sysexits.h). */
const EX_CONFIG = 78;
/** Time limit of a graceful stop; Kubernetes kills the pod after 30 s. */
const STOP_LIMIT_MS = 10_000;

async function main(signal: AbortSignal): Promise<void> {
  const { nodeName, netnsDirectory, httpHost, httpPort, logLevel, logFormat, kubeconfig } = loadNodeConfig(process.env);
  const logger = createLogger({ level: logLevel, format: logFormat, component: 'node' });
  exitOnUncaught(logger);
  const metrics = createNodeMetrics(packageJson.version);
  // In another network namespace it could serve the wrong pods: there is nothing left to do but to start again.
  const enter = openNamespaces((reason) => {
    process.stderr.write(`sallyport: ${reason}\n`);
    process.abort();
  });
  const client = createKubeClient({ version: packageJson.version, ...(kubeconfig === undefined ? {} : { kubeconfig }) });
  const redirect = createNodeRedirect({ client, nodeName, directory: netnsDirectory, enter, logger, metrics });
  const health = await startOpsServer({
    host: httpHost,
    port: httpPort,
    live: { ping: () => undefined },
    ready: { pods: redirect.check },
    metricsText: metrics.text,
    logger,
  });
  logger.info({ version: packageJson.version, port: health.port, nodeName, netnsDirectory }, 'node program started');
  try {
    await redirect.run(signal);
  } finally {
    await health.close();
    await client.close();
  }
}

const stopping = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.once(name, () => {
    stopping.abort();
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
  });
}
try {
  await main(stopping.signal);
} catch (error) {
  createLogger({ level: 'error', component: 'node', fd: 2 }).error({ err: error }, 'node program failed');
  process.exitCode = error instanceof RefusedError && error.code === 'SP_CONFIG' ? EX_CONFIG : 1;
}
await flushLogs();
process.exit();
