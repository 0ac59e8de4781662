/*
 * Runs proofs in a worker and gives each result as soon as it is known, until the command is to stop.
 */
import { on } from 'node:events';
import type { CommandContext } from '../context/command-context.ts';
import type { ProofJob, ProofResult } from './proof-job.ts';

/** The results in the order of the tasks. It ends before the last one when the command is to stop. @param signal to stop; from `stopSignal` */
export async function* runProofs<J extends ProofJob>(
  job: J,
  { stopSignal, startProofWorker }: CommandContext,
  signal: AbortSignal = stopSignal(),
): AsyncGenerator<ProofResult<J>> {
  const worker = startProofWorker();
  // Subscribed before the job is sent, so that no result is missed.
  const results = on(worker, 'message', { signal, close: ['exit'] });
  try {
    worker.postMessage(job);
    for await (const [result] of results) yield result as ProofResult<J>;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    // Not awaited: its memory is freed while what was proven is written.
    void worker.terminate();
  }
}
