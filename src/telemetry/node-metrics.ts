/*
 * The metrics of the program that sets the redirects of the pods of a node.
 */
import { Counter, Gauge, Registry } from 'prom-client';

/** Observer of the redirects of a node. */
export interface NodeMetrics {
  readonly registry: Registry;
  /** The metrics in Prometheus text format. */
  readonly text: () => Promise<string>;
  readonly onRedirect: (result: 'set' | 'failed') => void;
  /** @param pods number of pods that wait now */
  readonly onWaiting: (pods: number) => void;
}

/** Metrics in a new registry. */
export function createNodeMetrics(version: string): NodeMetrics {
  const registry = new Registry();
  const registers = [registry];
  const redirects = new Counter({
    name: 'sallyport_node_redirects_total',
    help: 'Redirects that were set in pods of the node, by result.',
    labelNames: ['result'],
    registers,
  });
  const waiting = new Gauge({
    name: 'sallyport_node_waiting_pods',
    help: 'Pods of the node that wait for their redirect.',
    registers,
  });
  new Gauge({ name: 'sallyport_node_build_info', help: 'Version of the program.', labelNames: ['version'], registers }).set({ version }, 1);
  for (const result of ['set', 'failed'] as const) redirects.inc({ result }, 0);
  return {
    registry,
    text: () => registry.metrics(),
    onRedirect: (result) => redirects.inc({ result }),
    onWaiting: (pods) => waiting.set(pods),
  };
}
