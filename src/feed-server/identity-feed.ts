/*
 * Sends the table of pod identities to the agents that ask for it: as a whole once, then each change. An agent that does not read gets no
 * answers, so that its table stops counting; when it reads again, it gets the whole table again.
 */
import type { Clock } from '../clock.ts';
import { encodeUpdate, type IdentityQuestion } from '../feed/identities.ts';
import { doStepsApart, type Steps } from '../steps.ts';
import { COLLECT_MS, type IdentityChange, IdentityTable, type PodSource } from './identity-table.ts';

/** The stream of an agent. */
export interface IdentitySink {
  /** Bytes that are written and not on their way yet. */
  readonly backlog: number;
  readonly sendIdentities: (payload: Buffer, onWritten: () => void) => void;
}

/** Parts of an {@link IdentityFeed}. */
export interface IdentityFeedOptions {
  readonly clock: Clock;
  readonly pods: PodSource;
  /** Whether the configuration asks for identities by address. */
  readonly isEnabled: () => boolean;
  /** Whether the pods are those of the API server now, as far as this replica can know. */
  readonly isCurrent: () => boolean;
  readonly trustDomain: () => string;
}

/** Agents that get the table. */
interface Subscriber {
  /** Version that was sent last; 0: none, or an agent that has fallen behind. */
  sent: number;
  /** Of what was sent. */
  trustDomain: string;
  /** The last question, for whose answer it waits. */
  askedMs: number;
  /** The whole table is on its way. */
  isLoading: boolean;
}

/** A change on its way to all agents that have the version before. */
interface Sending {
  readonly change: IdentityChange;
  /** Absent: no agent has needed it so far. */
  payload?: Buffer;
}

/** The whole table. */
interface Frames {
  readonly version: number;
  readonly trustDomain: string;
  readonly payloads: readonly Buffer[];
}

/** Entries in a frame: about 100 KiB, which an agent reads between requests. */
const ENTRIES_PER_FRAME = 1_000;
/** Whole tables on their way at the same time. */
const MAX_LOADING = 16;
/** An agent with more unread bytes has fallen behind. */
const MAX_BACKLOG = 256 * 1024;
/** Agents that get a change in one turn of the event loop; each takes 20 to 35 microseconds. */
const AGENTS_PER_TURN = 200;
/** Time in which changes are collected for each agent that asks, in milliseconds: at least three times what sending them takes. */
const COLLECT_MS_PER_AGENT = 0.1;
const MAX_COLLECT_MS = 2_000;

/** Serves the table. */
export class IdentityFeed {
  readonly #options: IdentityFeedOptions;
  readonly #table: IdentityTable;
  readonly #subscribers = new Map<IdentitySink, Subscriber>();
  readonly #waiting = new Set<IdentitySink>();
  /** Changes that not all agents have been sent. */
  readonly #changes: Sending[] = [];
  #isSending = false;
  #loading = 0;
  /** The whole table in frames, for all agents that need this version. */
  #frames: Frames | undefined;

  constructor(options: IdentityFeedOptions) {
    this.#options = options;
    this.#table = new IdentityTable({
      ...options,
      onChange: (change) => this.#onChange(change),
      collectMs: () => Math.min(MAX_COLLECT_MS, Math.max(COLLECT_MS, this.#subscribers.size * COLLECT_MS_PER_AGENT)),
    });
  }

  /** Number of addresses in the table. */
  get size(): number {
    return this.#options.isEnabled() ? this.#table.size : 0;
  }

  /** Number of agents that ask. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Answers a question of an agent. */
  ask(sink: IdentitySink, { version, askedMs }: IdentityQuestion): void {
    const { isEnabled, isCurrent, trustDomain } = this.#options;
    if (!isEnabled()) {
      this.forget(sink);
      // An agent waits for an answer before its first policy that asks for the peer is active.
      if (sink.backlog <= MAX_BACKLOG) sendEmptyTable(sink, askedMs);
      return;
    }
    const subscriber = this.#subscribers.get(sink) ?? { sent: 0, trustDomain: '', askedMs, isLoading: false };
    this.#subscribers.set(sink, subscriber);
    subscriber.askedMs = askedMs;
    // Without an answer the agent's table grows old.
    if (!isCurrent() || sink.backlog > MAX_BACKLOG) return;
    if (subscriber.isLoading) this.#confirm(sink, subscriber);
    else if (version === 0 || subscriber.sent === 0 || subscriber.trustDomain !== trustDomain()) this.#load(sink, subscriber);
    else this.#confirm(sink, subscriber);
  }

  /** The stream has ended. */
  forget(sink: IdentitySink): void {
    const subscriber = this.#subscribers.get(sink);
    this.#subscribers.delete(sink);
    this.#waiting.delete(sink);
    if (subscriber?.isLoading === true) this.#onLoaded(subscriber);
  }

  /** Follows the pods no longer. */
  stop(): void {
    this.#table.stop();
    this.#subscribers.clear();
    this.#waiting.clear();
  }

  #load(sink: IdentitySink, subscriber: Subscriber): void {
    if (this.#loading >= MAX_LOADING) {
      this.#waiting.add(sink);
      return;
    }
    const { version, trustDomain, payloads } = this.#framesNow();
    this.#loading += 1;
    Object.assign(subscriber, { isLoading: true, sent: version, trustDomain });
    for (const [at, payload] of payloads.entries())
      sink.sendIdentities(payload, () => {
        if (at === payloads.length - 1 && subscriber.isLoading) this.#onLoaded(subscriber);
      });
    this.#confirm(sink, subscriber);
  }

  #onLoaded(subscriber: Subscriber): void {
    subscriber.isLoading = false;
    this.#loading -= 1;
    for (const sink of this.#waiting) {
      if (this.#loading >= MAX_LOADING) return;
      this.#waiting.delete(sink);
      const next = this.#subscribers.get(sink);
      if (next !== undefined && this.#options.isEnabled() && this.#options.isCurrent()) this.#load(sink, next);
    }
  }

  #framesNow(): Frames {
    const { version } = this.#table;
    const trustDomain = this.#options.trustDomain();
    if (this.#frames?.version === version && this.#frames.trustDomain === trustDomain) return this.#frames;
    const entries = this.#table.entries();
    const payloads: Buffer[] = [];
    for (let at = 0; at === 0 || at < entries.length; at += ENTRIES_PER_FRAME) {
      const [isFirst, isLast] = [at === 0, at + ENTRIES_PER_FRAME >= entries.length];
      payloads.push(encodeUpdate({ kind: 'table', version, isFirst, isLast, trustDomain, put: entries.slice(at, at + ENTRIES_PER_FRAME) }));
    }
    this.#frames = { version, trustDomain, payloads };
    return this.#frames;
  }

  #confirm(sink: IdentitySink, subscriber: Subscriber): void {
    this.#catchUp(sink, subscriber);
    sendConfirmation(sink, subscriber.sent, subscriber.askedMs);
  }

  #onChange(change: IdentityChange): void {
    this.#changes.push({ change });
    if (this.#isSending) return;
    this.#isSending = true;
    void doStepsApart(this.#send(), { pause: setImmediate, turnMs: 0 });
  }

  /** Sends the changes to all agents. Those that ask meanwhile do not wait for their turn. */
  *#send(): Steps<void> {
    for (let agents = 1; this.#changes.length > 0; ) {
      const { length } = this.#changes;
      for (const [sink, subscriber] of this.#subscribers) {
        this.#catchUp(sink, subscriber);
        if (agents++ % AGENTS_PER_TURN === 0) yield;
      }
      this.#changes.splice(0, length);
    }
    this.#isSending = false;
  }

  #catchUp(sink: IdentitySink, subscriber: Subscriber): void {
    for (const sending of this.#changes) {
      const { change } = sending;
      if (subscriber.sent !== change.from) continue;
      subscriber.sent = sink.backlog > MAX_BACKLOG && !subscriber.isLoading ? 0 : change.version;
      if (subscriber.sent === 0) return;
      sending.payload ??= encodeUpdate({ kind: 'change', ...change });
      sink.sendIdentities(sending.payload, () => undefined);
    }
  }
}

/** Until the configuration asks for identities: then the agent, which has been sent nothing, gets the whole table. */
function sendEmptyTable(sink: IdentitySink, askedMs: number): void {
  const empty = { kind: 'table', version: 1, isFirst: true, isLast: true, trustDomain: '', put: [] } as const;
  sink.sendIdentities(encodeUpdate(empty), () => undefined);
  sendConfirmation(sink, empty.version, askedMs);
}

function sendConfirmation(sink: IdentitySink, version: number, askedMs: number): void {
  sink.sendIdentities(encodeUpdate({ kind: 'current', version, askedMs }), () => undefined);
}
