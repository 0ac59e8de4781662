/*
 * Entry point of the agent, which runs until SIGTERM or SIGINT. Wiring only.
 */
import { startAgent } from '../agent/agent.ts';
import type { AgentOptions } from '../agent/agent-options.ts';
import { DEFAULT_LIMITS } from '../agent/context.ts';
import { type AgentConfig, type AgentTraces, loadAgentConfig } from '../config/agent.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import { flushLogs } from '../telemetry/line-writer.ts';
import { createLogger, exitOnUncaught } from '../telemetry/logger.ts';
import { exitCodeOf } from './run-process.ts';
import { serveProfiles } from './serve-profiles.ts';

const STDOUT = 1;

async function run(argv: readonly string[], stop: AbortSignal): Promise<void> {
  const config = loadAgentConfig(argv, process.env);
  const logger = createLogger({ level: config.logLevel, format: config.logFormat, component: 'agent' });
  exitOnUncaught(logger);
  const agent = await startAgent(
    {
      ...config,
      trust: config.trust === undefined ? undefined : { ...config.trust, wallMs: Date.now },
      labels: undefined,
      pollMs: LIMITS.bundlePoll.value,
      listenHost: undefined,
      appHost: config.podIp ?? '127.0.0.1',
      destinationIp: config.podIp,
      admin: { host: undefined, port: config.adminPort },
      acceptHttp10: config.acceptHttp10,
      reevaluateStreams: config.reevaluateStreams,
      accessLog: config.accessLog ? { fd: STDOUT, allowSampleRate: config.accessLogSampleRate } : undefined,
      limits: { ...DEFAULT_LIMITS, maxConnections: config.maxConnections },
      logger,
      traces: config.traces === undefined ? undefined : { ...config.traces, source: traceSource(config, config.traces) },
      processMetrics: true,
    },
    stop,
  );
  const profiles = await serveProfiles(config.profilingPort, { logger, onProfile: (result) => agent.metrics.onProfile(result) });
  await new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener('abort', () => resolve(), { once: true });
  });
  await profiles?.close();
  await agent.stop();
}

/** With the names of the semantic conventions for Kubernetes. */
function traceSource({ workload }: AgentConfig, { podName }: AgentTraces): NonNullable<AgentOptions['traces']>['source'] {
  const pod = podName === undefined ? {} : { 'k8s.pod.name': podName };
  if (workload === undefined) return { attributes: { 'service.name': 'sallyport-agent', ...pod } };
  const { namespace, kind, name } = workload;
  const attributes = {
    'service.name': name,
    'service.namespace': namespace,
    'k8s.namespace.name': namespace,
    [`k8s.${kind}.name`]: name,
    ...pod,
  };
  return { attributes };
}

async function main(): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  await run(process.argv.slice(2), stop.signal);
}

try {
  await main();
  await flushLogs();
  process.exit(0);
} catch (error) {
  createLogger({ level: 'error', component: 'agent' }).fatal({ err: error }, 'agent failed');
  process.exit(exitCodeOf(error));
}
