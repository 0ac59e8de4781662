/*
 * Loads and starts the exporter of the controller's traces.
 */
import packageJson from '../../package.json' with { type: 'json' };
import { systemClock } from '../clock.ts';
import type { ControllerConfig } from '../config/controller.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import type { ControllerMetrics } from '../telemetry/controller-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { OperationTraces } from '../traces/operation-traces.ts';

/** The traces of the configuration; undefined: none. @param identity of this replica */
export async function openTraces(
  { traces, namespace, identity: podName }: ControllerConfig,
  { logger, metrics, identity }: { readonly logger: Logger; readonly metrics: ControllerMetrics; readonly identity: string },
): Promise<OperationTraces | undefined> {
  const { endpoint, sampler, samplerArg: ratio } = traces;
  if (endpoint === undefined) return undefined;
  const loaded = await import('../traces/operation-traces.ts');
  const attributes = {
    'service.name': 'sallyport-controller',
    'service.version': packageJson.version,
    'service.instance.id': identity,
    'k8s.namespace.name': namespace,
    'k8s.pod.name': podName,
  };
  return new loaded.OperationTraces({
    endpoint,
    sampler,
    ratio,
    source: { attributes },
    clock: systemClock,
    logger: logger.child({ part: 'traces' }),
    limits: LIMITS,
    random: Math.random,
    onSpans: metrics.onSpans,
  });
}
