/*
 * Starts the thread of admission from the sources, as the controller does.
 */
import { Worker } from 'node:worker_threads';
import type { AdmissionSettings } from '../../src/webhook/admission-messages.ts';
import { ADMISSION_MEMORY } from '../../src/webhook/admission-thread.ts';

/** For the option `startWorker` of the webhook. */
export function startAdmissionWorker(workerData: AdmissionSettings): Worker {
  return new Worker(new URL('../../src/webhook/admission-worker.ts', import.meta.url), { workerData, resourceLimits: ADMISSION_MEMORY });
}
