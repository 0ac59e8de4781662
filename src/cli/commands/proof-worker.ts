/*
 * The worker of `diff` and `prove`: searching never waits, so that a process which searches by itself could not react to Ctrl-C.
 */
import { parentPort } from 'node:worker_threads';
import { type ProofJob, performJob } from './proof-job.ts';

parentPort?.once('message', (job: ProofJob) => {
  for (const result of performJob(job)) parentPort?.postMessage(result);
  parentPort?.close();
});
