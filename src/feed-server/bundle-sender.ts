/*
 * Sends agents the newest bundle of their workload. A bundle is read and encoded once for all streams that need it. One stream holds nothing
 * back for another: what is on its way is limited for each and for all of them together, in bytes and in time.
 */
import type { WorkloadKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import type { Held } from '../feed/parts.ts';
import { DOWN } from '../feed/protocol.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { AgentStream } from './agent-stream.ts';
import { type BundleContent, LoadedBundle } from './loaded-bundle.ts';

/** The newest bundle of a workload, as it is announced or published. */
export interface CurrentBundle {
  readonly number: number;
  /** What an agent has of it that got it in parts, at least; absent: not known. */
  readonly held?: Held | undefined;
  /** Undefined: it changed meanwhile. @throws TransientError, RefusedError */
  readonly read: (signal: AbortSignal) => Promise<BundleContent | undefined>;
}

/** Parts of the sender. */
export interface BundleSenderOptions {
  /** Undefined: the workload has no bundle. */
  readonly currentOf: (workload: WorkloadKey) => CurrentBundle | undefined;
  /** Called for each bundle that is sent. */
  readonly onSent: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Most bytes on their way to agents. */
  readonly maxBytes: number;
}

/** An agent that gets bundles. */
export interface Receiver {
  readonly workload: WorkloadKey;
  readonly stream: AgentStream;
  /** Parts that the agent has; undefined: it takes whole bundles. */
  has: Held | undefined;
  /** The last frame left out parts. */
  isPartial: boolean;
}

const NOTHING: Held = new Set();
/** After a bundle could not be read from the API server, in milliseconds. */
const RETRY_MS = 5_000;

/** @param parts whether the agent takes parts @param holds number of the bundle whose parts it has; 0: it has none */
export function partsOfAgent(takesParts: boolean, holds: number, current: CurrentBundle | undefined): Held | undefined {
  if (!takesParts) return undefined;
  return holds > 0 && holds === current?.number ? (current.held ?? NOTHING) : NOTHING;
}

/** Sends to all streams of one controller. */
export class BundleSender {
  readonly #options: BundleSenderOptions;
  readonly #receivers = new Set<Receiver>();
  /** Streams that wait until others have read what is on its way. Their bundles are read again then, so that nothing is kept for them. */
  readonly #waiting = new Map<WorkloadKey, Set<Receiver>>();
  /** Bundles that are being read, for all streams of the workload that need them. */
  readonly #loading = new Map<WorkloadKey, { readonly number: number; readonly receivers: Set<Receiver> }>();
  readonly #stopping = new AbortController();
  #bytes = 0;
  /** The workload whose streams waited, and whose bundle is being read again: one at a time. */
  #resuming: WorkloadKey | undefined;

  constructor(options: BundleSenderOptions) {
    this.#options = options;
  }

  add(receiver: Receiver): void {
    this.#receivers.add(receiver);
  }

  remove(receiver: Receiver): void {
    this.#receivers.delete(receiver);
    const waiting = this.#waiting.get(receiver.workload);
    if (waiting?.delete(receiver) === true && waiting.size === 0) this.#waiting.delete(receiver.workload);
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Sends the newest bundle unless the agent has it, got it, or is still busy with another one. */
  consider(receiver: Receiver): void {
    const { stream, workload } = receiver;
    const { report } = stream;
    if (report === undefined || !stream.isIdle || !this.#receivers.has(receiver)) return;
    const current = this.#options.currentOf(workload);
    if (current === undefined || report.number >= current.number || stream.sentNumber === current.number) return;
    const loading = this.#loading.get(workload);
    if (loading?.number === current.number) loading.receivers.add(receiver);
    else void this.#load(workload, current, receiver);
  }

  /** The agent lacks a part that it should have: it gets the whole bundle. @returns false: it got all parts, and may not lack any */
  sendWhole(receiver: Receiver): boolean {
    if (!receiver.isPartial) return false;
    Object.assign(receiver, { has: NOTHING, isPartial: false });
    receiver.stream.sentNumber = 0;
    this.consider(receiver);
    return true;
  }

  /** Never rejects. */
  async #load(workload: WorkloadKey, { number, read }: CurrentBundle, first: Receiver): Promise<void> {
    const { logger, clock } = this.#options;
    const loading = { number, receivers: new Set([first]) };
    this.#loading.set(workload, loading);
    let loaded: LoadedBundle | undefined;
    try {
      const content = await read(this.#stopping.signal);
      loaded = content === undefined ? undefined : new LoadedBundle(number, content);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      logger.warn({ err: error, workload }, 'bundle not read for the feed; retrying');
      clock.after(RETRY_MS, () => {
        for (const receiver of loading.receivers) this.consider(receiver);
      });
    }
    if (this.#loading.get(workload) === loading) this.#loading.delete(workload);
    if (loaded !== undefined) for (const receiver of loading.receivers) this.#send(receiver, loaded);
    if (this.#resuming !== workload) return;
    this.#resuming = undefined;
    // It did not fit: the next stream that has read its bundle resumes.
    if (!this.#waiting.has(workload)) this.#resume();
  }

  #send(receiver: Receiver, loaded: LoadedBundle): void {
    const { stream, workload } = receiver;
    const { number } = loaded;
    // Meanwhile the stream may have ended or got it, and a newer bundle may have been published, which is on its way here.
    if (!this.#receivers.has(receiver) || !stream.isIdle || stream.sentNumber === number) return;
    if (this.#options.currentOf(workload)?.number !== number) return;
    const { maxBytes } = this.#options;
    const frame = this.#bytes >= maxBytes ? undefined : loaded.frameFor(receiver.has);
    const length = frame?.payload.length ?? 0;
    if (frame === undefined || (this.#bytes > 0 && this.#bytes + length > maxBytes)) {
      this.#waiting.set(workload, (this.#waiting.get(workload) ?? new Set()).add(receiver));
      return;
    }
    receiver.isPartial = frame.type === DOWN.parts && receiver.has !== undefined && receiver.has.size > 0;
    if (receiver.has !== undefined) receiver.has = frame.type === DOWN.parts ? loaded.held : NOTHING;
    this.#bytes += length;
    this.#options.onSent();
    stream.sendBundle(number, frame, () => {
      this.#bytes -= length;
      this.#resume();
    });
  }

  #resume(): void {
    for (const [workload, receivers] of this.#waiting) {
      if (this.#resuming !== undefined || this.#bytes >= this.#options.maxBytes) return;
      this.#waiting.delete(workload);
      for (const receiver of receivers) this.consider(receiver);
      if (this.#loading.has(workload)) this.#resuming = workload;
    }
  }
}
