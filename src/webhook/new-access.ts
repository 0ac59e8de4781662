/*
 * Warns what an edit of a policy lets in that was refused before. A worker that is started for the review searches; admission waits for it
 * only a moment, and what is not found by then is said not to be decided.
 */
import { on } from 'node:events';
import type { ResourceLimits, Worker } from 'node:worker_threads';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { EditedPods } from '../resolve/edited-pods.ts';

/** What the worker gets. */
export interface NewAccessJob extends EditedPods {
  readonly mesh: MeshConfig;
}

/** What the worker reports of each pod. */
export interface NewAccessAnswer {
  readonly workload: string;
  /** A request that is let in, in a few words; absent: none, or not decided. */
  readonly request?: string;
  readonly isDecided: boolean;
}

/** How to ask. */
export interface NewAccessOptions {
  /** Starts `new-access-worker.ts`, with {@link NEW_ACCESS_MEMORY}. */
  readonly startWorker: () => Worker;
  readonly limitMs: number;
}

/** The longest time that a review waits, start of the worker included. */
export const NEW_ACCESS_LIMIT_MS = 200;
/** Memory of the worker, which shares the limit of the controller's container. */
export const NEW_ACCESS_MEMORY: ResourceLimits = { maxOldGenerationSizeMb: 64 };
/** Workloads that are named; more say nothing new about the edit. */
const MAX_WARNINGS = 3;

/** Creates the function that gives the warnings of one review. Only one worker runs at a time, so that a flood of reviews takes no more. */
export function createNewAccessWarnings({ startWorker, limitMs }: NewAccessOptions): (job: NewAccessJob) => Promise<readonly string[]> {
  let isBusy = false;
  return async (job) => {
    if (job.pods.length === 0) return [];
    if (isBusy) return [undecided(job.pods.length, 'another edit is being analysed')];
    isBusy = true;
    try {
      return warningsOf(job, await answersOf(startWorker, job, limitMs), limitMs);
    } finally {
      isBusy = false;
    }
  };
}

/** The answers within the time. A worker that fails, or cannot be started, gives none: a review must not fail because of a warning. */
async function answersOf(startWorker: () => Worker, job: NewAccessJob, limitMs: number): Promise<readonly NewAccessAnswer[]> {
  const answers: NewAccessAnswer[] = [];
  let worker: Worker | undefined;
  try {
    worker = startWorker();
    // One that fails while it is being ended has no other listener, and would end the controller.
    worker.on('error', () => undefined);
    const messages = on(worker, 'message', { signal: AbortSignal.timeout(limitMs), close: ['exit'] });
    worker.postMessage(job);
    for await (const [answer] of messages) answers.push(answer as NewAccessAnswer);
  } catch {
    // The time is over, or the worker failed: what is missing is reported as not decided.
  }
  await worker?.terminate();
  return answers;
}

function warningsOf({ pods, isCut }: NewAccessJob, answers: readonly NewAccessAnswer[], limitMs: number): readonly string[] {
  const found = answers.flatMap(({ workload, request }) => (request === undefined ? [] : [`this edit lets in to ${workload}: ${request}`]));
  const shown = [...new Set(found)];
  const missing = pods.length - answers.filter(({ isDecided }) => isDecided).length;
  return [
    ...shown.slice(0, MAX_WARNINGS),
    ...(shown.length > MAX_WARNINGS ? [`this edit lets in more to ${shown.length - MAX_WARNINGS} other workloads`] : []),
    ...(isCut
      ? ['not decided for all pods whether this edit lets in more: there are too many sets of policies; sallyport diff decides it']
      : []),
    ...(missing > 0 ? [undecided(missing, `no answer within ${limitMs} ms`)] : []),
  ];
}

function undecided(count: number, reason: string): string {
  return `not decided for ${count === 1 ? 'one set of pods' : `${count} sets of pods`} whether this edit lets in more: ${reason}; sallyport diff decides it`;
}
