/*
 * Entry point of the program that runs on each node, as a DaemonSet, and sets the redirects of pods without NET_ADMIN. Wiring only.
 */
import packageJson from '../../package.json' with { type: 'json' };
import { createKubeClient } from '../cluster/client.ts';
import { loadNodeConfig } from '../config/node.ts';
import { openNamespaces } from '../node-redirect/network-namespaces.ts';
import { createNodeRedirect } from '../node-redirect/redirect-pods.ts';
import { startOpsServer } from '../ops-server/ops-server.ts';
import { createLogger, exitOnUncaught } from '../telemetry/logger.ts';
import { createNodeMetrics } from '../telemetry/node-metrics.ts';
import { runProcess } from './run-process.ts';

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

await runProcess(main, { component: 'node', failure: 'node program failed', stopLimitMs: 10_000 });
