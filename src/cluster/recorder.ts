/*
 * Records Kubernetes Events about users' objects as events.k8s.io/v1. Repeated events become one with a count; after a burst,
 * at most one request per second is sent. Recording never blocks or throws.
 */

import { type Clock, systemClock } from '../clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { KubeClient } from './client.ts';
import { microTime } from './kube-time.ts';
import { ifFound } from './objects.ts';
import { apiVersionOf, collectionPath, EVENTS, type ObjectRef, objectPath } from './paths.ts';
import { createRateLimiter } from './rate-limiter.ts';

/** The object that an event is about. */
export interface EventTarget {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent for cluster-scoped objects, whose events are created in `default`. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** An event to record. */
export interface KubeEvent {
  readonly regarding: EventTarget;
  readonly type: 'Normal' | 'Warning';
  /** Reason in CamelCase, at most 128 characters, e.g. `InvalidPolicy`. */
  readonly reason: string;
  /** Action in CamelCase, e.g. `Compile`. */
  readonly action: string;
  /** Message for users; truncated to 1024 bytes. */
  readonly note: string;
}

/** Options of {@link createRecorder}. */
export interface RecorderOptions {
  readonly client: KubeClient;
  /** Value of `reportingController`, e.g. `sallyport.dev/controller`. */
  readonly controller: string;
  /** Value of `reportingInstance`, e.g. the pod's name. */
  readonly instance: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Uniform in [0, 1); absent: Math.random. */
  readonly random?: () => number;
}

/** Records Events without blocking the caller. */
export interface Recorder {
  /** Queues an event and returns immediately. Repeating an event within ten minutes increases the count of the first. */
  record(event: KubeEvent): void;
  /** Sends queued events until the signal aborts, then sends the rest for at most one second. Never rejects. Call once. */
  run(signal: AbortSignal): Promise<void>;
  /** Number of events that were dropped because the queue was full. */
  dropped(): number;
}

/** One series: all repeats of an event. */
interface Series {
  readonly event: KubeEvent;
  readonly firstMs: number;
  lastMs: number;
  count: number;
  /** The Event on the server; undefined until it is created. */
  ref: ObjectRef | undefined;
  waiting: boolean;
}

const MAX_SERIES = 1024;
const MAX_WAITING = 512;
/** A repeat after this time starts a new series. */
const SERIES_MS = 10 * 60_000;
/** The API server's limit, in bytes. */
const MAX_NOTE_BYTES = 1024;
const FLUSH_MS = 1_000;

/** A recorder that sends nothing before {@link Recorder.run}. */
export function createRecorder(options: RecorderOptions): Recorder {
  return new QueuedRecorder(options);
}

class QueuedRecorder implements Recorder {
  readonly #options: RecorderOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #logger: Logger;
  /** Least recently seen first. */
  readonly #seriesByKey = new Map<string, Series>();
  readonly #waiting: Series[] = [];
  #wake: () => void = () => undefined;
  #dropped = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#logger = options.logger.child({ part: 'recorder' });
  }

  record(event: KubeEvent): void {
    const key = keyOfEvent(event);
    const nowMs = this.#clock.wallMs();
    const known = this.#seriesByKey.get(key);
    const repeats = known !== undefined && nowMs - known.lastMs < SERIES_MS;
    const series: Series = repeats ? known : { event, firstMs: nowMs, lastMs: nowMs, count: 0, ref: undefined, waiting: false };
    series.count += 1;
    series.lastMs = nowMs;
    this.#seriesByKey.delete(key);
    this.#seriesByKey.set(key, series);
    this.#forgetOldest();
    if (!series.waiting) this.#enqueue(series);
  }

  dropped(): number {
    return this.#dropped;
  }

  async run(signal: AbortSignal): Promise<void> {
    const limiter = createRateLimiter({ perSecond: 1, burst: 25, clock: this.#clock });
    while (!signal.aborted) {
      if (this.#waiting.length === 0) await this.#arrival(signal);
      else if (
        await limiter.take(signal).then(
          () => true,
          () => false,
        )
      )
        await this.#sendNext(signal);
    }
    const flush = new AbortController();
    const cancel = this.#clock.after(FLUSH_MS, () => flush.abort());
    for (let left = Math.min(25, this.#waiting.length); left > 0 && !flush.signal.aborted; left -= 1) await this.#sendNext(flush.signal);
    cancel();
  }

  #enqueue(series: Series): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#dropped += 1;
      const oldest = this.#waiting.shift();
      if (oldest !== undefined) oldest.waiting = false;
    }
    series.waiting = true;
    this.#waiting.push(series);
    this.#wake();
  }

  #forgetOldest(): void {
    if (this.#seriesByKey.size <= MAX_SERIES) return;
    const [oldest] = this.#seriesByKey.keys();
    if (oldest !== undefined) this.#seriesByKey.delete(oldest);
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#wake = () => undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  async #sendNext(signal: AbortSignal): Promise<void> {
    const series = this.#waiting.shift();
    if (series === undefined) return;
    series.waiting = false;
    try {
      // The server keeps an Event for an hour: a series that lasts longer needs a new one.
      if (series.ref === undefined || !(await this.#raiseCount(series, series.ref, signal))) await this.#create(series, signal);
    } catch (thrown) {
      if (signal.aborted && this.#waiting.length < MAX_WAITING) {
        series.waiting = true;
        this.#waiting.unshift(series);
      } else this.#logger.warn({ err: thrown, reason: series.event.reason }, 'cannot record event');
    }
  }

  async #create(series: Series, signal: AbortSignal): Promise<void> {
    const { regarding, type, reason, action, note } = series.event;
    const namespace = regarding.namespace ?? 'default';
    const unique = `${this.#clock.wallMs().toString(16)}${Math.floor(this.#random() * 0x1000000)
      .toString(16)
      .padStart(6, '0')}`;
    const name = `${regarding.name.slice(0, 200)}.${unique}`;
    const body = {
      apiVersion: apiVersionOf(EVENTS),
      kind: EVENTS.kind,
      metadata: { namespace, name },
      eventTime: microTime(series.firstMs),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance,
      regarding,
      type,
      reason,
      action,
      note: truncated(note),
      ...(series.count > 1 ? { series: seriesOf(series) } : {}),
    };
    await this.#options.client.request({
      method: 'POST',
      path: collectionPath(EVENTS, namespace),
      body,
      lane: 'status',
      discard: true,
      signal,
    });
    series.ref = { resource: EVENTS, namespace, name };
  }

  async #raiseCount(series: Series, ref: ObjectRef, signal: AbortSignal): Promise<boolean> {
    const body = { series: seriesOf(series) };
    const contentType = 'application/merge-patch+json';
    const answer = await ifFound(
      this.#options.client.request({ method: 'PATCH', path: objectPath(ref), body, contentType, lane: 'status', discard: true, signal }),
    );
    return answer !== undefined;
  }
}

function truncated(note: string): string {
  if (Buffer.byteLength(note) <= MAX_NOTE_BYTES) return note;
  const ellipsis = '...';
  const { read } = new TextEncoder().encodeInto(note, new Uint8Array(MAX_NOTE_BYTES - ellipsis.length));
  return note.slice(0, read) + ellipsis;
}

function seriesOf(series: Series): object {
  return { count: series.count, lastObservedTime: microTime(series.lastMs) };
}

function keyOfEvent(event: KubeEvent): string {
  const { regarding, type, reason, action, note } = event;
  return JSON.stringify([
    regarding.apiVersion,
    regarding.kind,
    regarding.namespace,
    regarding.name,
    regarding.uid,
    type,
    reason,
    action,
    note,
  ]);
}
