/*
 * Figures of a controller under measurement: CPU time, memory, requests, and what it did.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ControllerProcess } from '../../support/controller-process.ts';
import { cpuMicros } from './processes.ts';

/** Prints the figures of a phase. */
export function print(phase: string, figures: Readonly<Record<string, number | string>>): void {
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${typeof value === 'number' ? Number(value.toFixed(1)) : value}`);
  process.stdout.write(`${phase.padEnd(18)} ${shown.join(', ')}\n`);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** The median and the 99th percentile of milliseconds. */
export function spread(values: readonly number[]): string {
  return `p50 ${quantile(values, 0.5).toFixed(1)} p99 ${quantile(values, 0.99).toFixed(1)} ms`;
}

/** Counters of requests to the API server, and of what was done. */
export async function counters(controller: ControllerProcess): Promise<Readonly<Record<string, number>>> {
  const { text } = await controller.get('/metrics');
  const counts: Record<string, number> = {};
  const add = (name: string, value: number): void => {
    counts[name] = (counts[name] ?? 0) + value;
  };
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === 'rest_client_requests_total') add(/method="(\w+)"/.exec(labels)?.[1] ?? '', Number(value));
    if (name === 'sallyport_pod_touch_total') add('touches', Number(value));
    if (name === 'sallyport_status_write_total' && labels.includes('updated')) add('statuses', Number(value));
    if (name === 'sallyport_bundle_publish_total' && !labels.includes('unchanged')) add('published', Number(value));
    if (name === 'sallyport_bundle_compile_seconds_count') add('compiled', Number(value));
  }
  return counts;
}

/** CPU seconds, requests and work of a phase. */
export async function cost(controller: ControllerProcess, run: () => Promise<void>): Promise<Readonly<Record<string, number>>> {
  const before = await counters(controller);
  const startedMicros = cpuMicros(controller.pid);
  await run();
  const cpuSeconds = (cpuMicros(controller.pid) - startedMicros) / 1e6;
  const after = await counters(controller);
  const deltas = Object.entries(after).map(([name, value]): readonly [string, number] => [name, value - (before[name] ?? 0)]);
  return { 'CPU s': cpuSeconds, ...Object.fromEntries(deltas.filter(([, value]) => value !== 0)) };
}

/** Waits until the controller has nothing left to do. */
export async function untilQuiet(controller: ControllerProcess): Promise<void> {
  const queues = ['workload', 'bundle-write', 'policy-status', 'pod-touch'];
  const isQuiet = async (): Promise<boolean> => {
    const { text } = await controller.get('/metrics');
    return queues.every((queue) => !new RegExp(`^workqueue_depth\\{name="${queue}"\\} [1-9]`, 'm').test(text));
  };
  for (let quiet = 0; quiet < 8; quiet = (await isQuiet()) ? quiet + 1 : 0) await delay(250);
}
