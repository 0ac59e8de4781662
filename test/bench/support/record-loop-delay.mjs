/*
 * Loaded into a process under measurement: writes the 99th percentile of the delay of its event loop since the last time, in milliseconds, to the file
 * in LOOP_DELAY_FILE whenever it gets SIGUSR2. The metric of the process counts from one scrape to the next only.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const RESOLUTION_MS = 1;
const file = process.env['LOOP_DELAY_FILE'];

if (isMainThread && file !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  process.on('SIGUSR2', () => {
    // What is recorded is the time between two turns of a timer.
    writeFileSync(`${file}.new`, String(Math.max(0, delays.percentile(99) / 1e6 - RESOLUTION_MS)));
    renameSync(`${file}.new`, file);
    delays.reset();
  });
}
