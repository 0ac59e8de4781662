/*
 * Runs `admission-worker.ts` in a thread, keeps its facts up to date, answers its questions from the caches of the controller, and starts it again
 * if it ends or hangs.
 */
import type { ResourceLimits, Worker } from 'node:worker_threads';
import type { Clock } from '../clock.ts';
import { InvariantError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ReviewSample } from '../telemetry/webhook-metrics.ts';
import type { AdmissionSettings, Facts, FromAdmission, Question, ToAdmission } from './admission-messages.ts';
import type { KeyPair } from './certs/issue.ts';
import { type ChangedFact, ChangedFacts, type FactSource } from './fact-source.ts';
import type { AdmissionServer } from './server.ts';

/** What the thread needs. */
export interface AdmissionThreadOptions {
  readonly settings: AdmissionSettings;
  /** Starts `admission-worker.ts` with {@link ADMISSION_MEMORY}. */
  readonly startWorker: (settings: AdmissionSettings) => Worker;
  /** What the thread keeps a copy of. */
  readonly facts: FactSource;
  /** Answers a question from the caches of this replica. Must not wait. */
  readonly answer: (question: Question) => Facts;
  /** Called after each review. */
  readonly onReview?: (sample: ReviewSample) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The thread, as a server. */
export interface AdmissionThread extends AdmissionServer {
  /** Undefined: it serves; otherwise the reason why not. */
  readonly check: () => string | undefined;
}

/** Memory of the thread, which shares the limit of the controller's container. One that needs more ends, and nothing but the open reviews fails. */
export const ADMISSION_MEMORY: ResourceLimits = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 4 };
/** Time until a thread that ended is started again, in milliseconds. */
const RESTART_MS = 1_000;
/** Time in which changes of facts are collected before they are sent, in milliseconds. */
const COLLECT_MS = 10;
/** Time between two signs of life, in milliseconds. API servers wait for a review for 10 s by default. */
const PING_MS = 2_000;
/** Signs of life that may be missing in a row. More than one: while this thread was busy, those that came are not read. */
const MAX_MISSED = 4;
/** Longest wait for open reviews to end, in milliseconds; the server itself ends connections after 5 s. */
const CLOSE_MS = 8_000;

/** Starts the thread; resolves when it listens. @throws the system error if the port is not available */
export async function startAdmissionThread(options: AdmissionThreadOptions): Promise<AdmissionThread> {
  const thread = new Thread(options);
  await thread.start();
  return {
    port: thread.port,
    serve: (serving) => thread.serve(serving),
    check: () => (thread.isListening ? undefined : 'the thread of admission is being started again'),
    close: () => thread.close(),
  };
}

class Thread {
  isListening = false;
  port: number;
  readonly #options: AdmissionThreadOptions;
  readonly #closed = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #serving: KeyPair | undefined;
  #isClosing = false;
  #cancelRestart = (): void => undefined;
  #cancelWatch = (): void => undefined;
  #missed = 0;
  #changed: ChangedFacts;
  #unsubscribe: (() => void) | undefined;
  /** Absent: nothing is to be sent. */
  #cancelSending: (() => void) | undefined;

  constructor(options: AdmissionThreadOptions) {
    this.#options = options;
    this.port = options.settings.port;
    this.#changed = new ChangedFacts(options.facts);
  }

  /** Starts a worker; resolves when it listens. Rejects when none can be started, or when it ended before it listened. */
  async start(): Promise<void> {
    const worker = this.#options.startWorker({ ...this.#options.settings, port: this.port });
    this.#worker = worker;
    const listening = Promise.withResolvers<void>();
    let reason: unknown = new InvariantError('the thread of admission ended before it listened');
    worker.on('message', (message: FromAdmission) => {
      if (message.kind === 'listening') listening.resolve();
      this.#onMessage(worker, message);
    });
    worker.on('error', (error) => {
      this.#options.logger.error({ err: error }, 'the thread of admission failed');
      reason = error;
    });
    worker.on('exit', () => {
      this.#onExit();
      listening.reject(reason);
    });
    await listening.promise;
  }

  serve(serving: KeyPair): void {
    this.#serving = serving;
    if (this.#worker !== undefined && this.isListening) send(this.#worker, { kind: 'certificate', serving });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#unsubscribe?.();
    this.#cancelRestart();
    this.#cancelWatch();
    this.#cancelSending?.();
    if (this.#worker !== undefined) {
      send(this.#worker, { kind: 'close' });
      const cancel = this.#options.clock.after(CLOSE_MS, () => this.#closed.resolve());
      await this.#closed.promise;
      cancel();
      await this.#worker?.terminate();
    }
  }

  #onMessage(worker: Worker, message: FromAdmission): void {
    const { logger, onReview } = this.#options;
    switch (message.kind) {
      case 'listening':
        this.port = message.port;
        this.isListening = true;
        if (this.#serving !== undefined) send(worker, { kind: 'certificate', serving: this.#serving });
        this.#missed = 0;
        this.#sendAll();
        this.#watch(worker);
        break;
      case 'pong':
        this.#missed = 0;
        break;
      case 'question':
        this.#answer(worker, message.id, message.question);
        break;
      case 'reviewed':
        onReview?.(message.sample);
        break;
      case 'log':
        logger[message.level](message.fields, message.message);
        break;
      case 'closed':
        this.#closed.resolve();
        break;
    }
  }

  #sendAll(): void {
    this.#unsubscribe ??= this.#options.facts.subscribe((changed) => this.#onChange(changed));
    this.#changed = new ChangedFacts(this.#options.facts);
    for (const fact of this.#options.facts.all()) this.#changed.add(fact);
    this.#sendChanges();
  }

  #onChange(changed: ChangedFact): void {
    // A thread that starts gets everything.
    if (!this.isListening) return;
    this.#changed.add(changed);
    this.#cancelSending ??= this.#options.clock.after(COLLECT_MS, () => this.#sendChanges());
  }

  #sendChanges(): void {
    this.#cancelSending?.();
    this.#cancelSending = undefined;
    const update = this.#worker === undefined ? undefined : this.#changed.take();
    if (update !== undefined && this.#worker !== undefined) send(this.#worker, { kind: 'facts', update });
  }

  #answer(worker: Worker, id: number, question: Question): void {
    try {
      // What was known before the question counts for the review.
      this.#sendChanges();
      send(worker, { kind: 'answer', id, facts: this.#options.answer(question) });
    } catch (error) {
      // The review fails with a 500, and the thread logs this as the bug that it is.
      send(worker, { kind: 'failure', id, message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }

  /** Ends the thread when it hangs; it is then started again. */
  #watch(worker: Worker): void {
    if (this.#missed > MAX_MISSED) {
      this.#options.logger.error({}, 'the thread of admission hangs; it is ended');
      void worker.terminate();
      return;
    }
    this.#missed += 1;
    send(worker, { kind: 'ping' });
    this.#cancelWatch = this.#options.clock.after(PING_MS, () => this.#watch(worker));
  }

  #onExit(): void {
    const hasServed = this.isListening;
    this.#cancelWatch();
    this.#worker = undefined;
    this.isListening = false;
    this.#cancelSending?.();
    this.#cancelSending = undefined;
    if (this.#isClosing) this.#closed.resolve();
    // Of one that has not served, the caller of `start` learns.
    else if (hasServed) {
      this.#options.logger.error({}, 'the thread of admission ended; it is started again');
      this.#restart();
    }
  }

  #restart(): void {
    this.#cancelRestart = this.#options.clock.after(RESTART_MS, () => {
      this.start().catch((error: unknown) => {
        this.#options.logger.error({ err: error }, 'the thread of admission does not start; it is tried again');
        if (!this.#isClosing) this.#restart();
      });
    });
  }
}

function send(worker: Worker, message: ToAdmission): void {
  worker.postMessage(message);
}
