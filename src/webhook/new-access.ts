/*
 * Warns what an edit of a policy lets in that was refused before. A worker searches; admission waits for it only a moment, and what is not
 * found by then is said not to be decided. The worker stays for the next review for a while, because its start takes most of that moment.
 */
import { on } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
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
  /** Time without a review after which the worker ends, in milliseconds; absent: 30 seconds. */
  readonly idleMs?: number;
}

/** The longest time that a review waits for the pods, and then for the search, start of the worker included. */
export const NEW_ACCESS_LIMIT_MS = 200;
/** Memory of the worker, which shares the limit of the controller's container. */
export const NEW_ACCESS_MEMORY: ResourceLimits = { maxOldGenerationSizeMb: 64 };
/** Workloads that are named; more say nothing new about the edit. */
const MAX_WARNINGS = 3;

/**
 * Creates the function that gives the warnings of one review. Only one worker runs at a time, so that a flood of reviews takes no more, and only
 * one set of pods is collected at a time, because it may be large.
 */
export function createNewAccessWarnings(options: NewAccessOptions): (collect: () => Promise<NewAccessJob>) => Promise<readonly string[]> {
  const search = new Search(options);
  let [isBusy, isCollecting] = [false, false];
  return async (collect) => {
    if (isBusy || isCollecting) return [undecided('', 'another edit is being analysed')];
    [isBusy, isCollecting] = [true, true];
    try {
      const collecting = collect().finally(() => (isCollecting = false));
      const job = await Promise.race([collecting, delay(options.limitMs, undefined, { ref: false })]);
      if (job === undefined) return [undecided('', 'the controller is too busy to name the pods')];
      return warningsOf(job, job.pods.length === 0 ? [] : await search.answersOf(job), options.limitMs);
    } finally {
      isBusy = false;
    }
  };
}

/** The worker, which does one job at a time. */
class Search {
  readonly #options: NewAccessOptions;
  #idle: Worker | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(options: NewAccessOptions) {
    this.#options = options;
  }

  /** The answers within the time. A worker that fails, or cannot be started, gives none: a review must not fail because of a warning. */
  async answersOf(job: NewAccessJob): Promise<readonly NewAccessAnswer[]> {
    const answers: NewAccessAnswer[] = [];
    let worker: Worker | undefined;
    try {
      worker = this.#take();
      const messages = on(worker, 'message', { signal: AbortSignal.timeout(this.#options.limitMs), close: ['exit'] });
      worker.postMessage(job);
      for await (const [answer] of messages) {
        answers.push(answer as NewAccessAnswer);
        if (answers.length === job.pods.length) break;
      }
    } catch {
      // The time is over, or the worker failed: what is missing is reported as not decided.
    }
    if (worker !== undefined && answers.length === job.pods.length) this.#keep(worker);
    else await worker?.terminate();
    return answers;
  }

  #take(): Worker {
    clearTimeout(this.#idleTimer);
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle !== undefined) return idle;
    const worker = this.#options.startWorker();
    // One that fails between reviews, or while it is being ended, has no other listener, and would end the controller.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (this.#idle === worker) this.#idle = undefined;
    });
    // It must not keep a process alive that stops.
    worker.unref();
    return worker;
  }

  #keep(worker: Worker): void {
    this.#idle = worker;
    this.#idleTimer = setTimeout(() => {
      this.#idle = undefined;
      void worker.terminate();
    }, this.#options.idleMs ?? 30_000).unref();
  }
}

function warningsOf({ pods, isCut }: NewAccessJob, answers: readonly NewAccessAnswer[], limitMs: number): readonly string[] {
  const found = answers.flatMap(({ workload, request }) => (request === undefined ? [] : [`this edit lets in to ${workload}: ${request}`]));
  const shown = [...new Set(found)];
  const missing = pods.length - answers.filter(({ isDecided }) => isDecided).length;
  return [
    ...shown.slice(0, MAX_WARNINGS),
    ...(shown.length > MAX_WARNINGS ? [`this edit lets in more to ${shown.length - MAX_WARNINGS} other workloads`] : []),
    ...(isCut
      ? [
          'not decided for all pods whether this edit lets in more: there are too many sets of policies, or too large ones; sallyport diff decides it',
        ]
      : []),
    ...(missing > 0
      ? [undecided(missing === 1 ? ' for one set of pods' : ` for ${missing} sets of pods`, `no answer within ${limitMs} ms`)]
      : []),
  ];
}

function undecided(where: string, reason: string): string {
  return `not decided${where} whether this edit lets in more: ${reason}; sallyport diff decides it`;
}
