/*
 * The OTLP receiver of the OpenTelemetry Collector as a process, and what it understood.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { until } from './fake-clock.ts';
import { type ExportedSpan, type ExportedTraces, spansIn } from './traced-workload.ts';

/** A receiver that listens. */
export interface OtlpReceiver {
  readonly received: readonly ExportedTraces[];
  readonly spans: () => readonly ExportedSpan[];
  readonly stop: () => Promise<void>;
}

/** @param program of the module `test/otlp` @param endpoint http URL @param refused requests that it refuses first */
export async function startOtlpReceiver(program: string, endpoint: string, refused = 0): Promise<OtlpReceiver> {
  const started = spawn(program, [endpoint.replace('http://', ''), String(refused)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const received: ExportedTraces[] = [];
  let listens = false;
  createInterface({ input: started.stdout }).on('line', (line) => {
    if (line === 'listens') listens = true;
    else received.push(JSON.parse(line) as ExportedTraces);
  });
  await until(() => listens, 'the receiver');
  return {
    received,
    spans: () => received.flatMap(spansIn),
    stop: async () => {
      const exit = once(started, 'exit');
      started.stdin.end();
      await exit;
    },
  };
}
