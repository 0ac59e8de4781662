/*
 * The stream of one agent: reads its reports and sends it one bundle at a time. An agent that does not read, or does not answer, loses
 * its stream; until then it costs at most the bundle that it does not read.
 */
import type { Clock } from '../clock.ts';
import type { Frame } from '../feed/frames.ts';
import { IDENTITY_FRAME, type IdentityQuestion, parseQuestion } from '../feed/identities.ts';
import { parseReport, parseUnknownKeys } from '../feed/parse-report.ts';
import { type AgentReport, DOWN, HEARTBEAT_MS, SILENCE_MS, type UnknownKeys, UP } from '../feed/protocol.ts';
import type { Channel, ChannelEvents } from './channel.ts';
import { Credit } from './credit.ts';
import type { CloseReason } from './feed-refusal.ts';
import type { BundleFrame } from './loaded-bundle.ts';

/** What a stream needs, and what it reports. */
export interface AgentStreamHost {
  readonly clock: Clock;
  /** Another replica has counted the frames of the agent; absent: they are counted here. */
  readonly isRelayed?: boolean;
  /** The agent said something. */
  readonly onReport: (report: AgentReport) => void;
  /** The agent lacks keys. */
  readonly onUnknownKeys: (keys: UnknownKeys) => void;
  /** The agent asks for identities of pods. */
  readonly onQuestion: (question: IdentityQuestion) => void;
  /** Called once. */
  readonly onClose: (reason: CloseReason) => void;
}

/** Time to read a bundle, in milliseconds. */
export const READ_MS = 10_000;
/** Time to say what became of a bundle after it was read, in milliseconds: a large one is activated between requests. */
export const ACKNOWLEDGE_MS = 60_000;
/** Frames from an agent in a row, how many a second it may send after that, and how many for each bundle. */
export const BURST = 32;
const FRAMES_PER_SECOND = 2;
const FRAMES_PER_BUNDLE = 2;

type Deadline = 'silent' | 'slow' | 'unacknowledged';
type TimerName = Deadline | 'alive' | 'identities';

/** The stream of one agent. */
export class AgentStream {
  /** Last report; undefined: none yet. */
  report: AgentReport | undefined;
  /** Number of the bundle that was sent last on this stream; 0: none. */
  sentNumber = 0;
  readonly #channel: Channel;
  readonly #host: AgentStreamHost;
  readonly #timers = new Map<TimerName, () => void>();
  /** Bundles sent on this stream. */
  #sent = 0;
  /** Of the bundle on its way; undefined: none is. */
  #onRead: (() => void) | undefined;
  /** Frames with identities on their way. */
  #identityFrames = 0;
  #isClosed = false;
  readonly #credit: Credit;

  constructor(open: (events: ChannelEvents) => Channel, host: AgentStreamHost) {
    this.#host = host;
    this.#credit = new Credit(host.clock, BURST, FRAMES_PER_SECOND);
    this.#channel = open({ onFrame: (frame) => this.#onFrame(frame), onEnd: (reason) => this.close(reason) });
    this.#deadline('silent', SILENCE_MS);
    this.#beat();
  }

  /** Nothing is on its way: the agent has read the last bundle, and said what became of it. */
  get isIdle(): boolean {
    return this.#onRead === undefined && (this.report?.received ?? 0) >= this.#sent;
  }

  /** Sends a bundle. To be called when idle. @param onRead called when the agent's side of the connection has taken it, or the stream ended */
  sendBundle(number: number, { type, payload }: BundleFrame, onRead: () => void): void {
    this.sentNumber = number;
    this.#sent += 1;
    this.#onRead = onRead;
    this.#credit.add(FRAMES_PER_BUNDLE);
    this.#deadline('slow', READ_MS);
    this.#channel.send(type, payload, () => {
      this.#cancel('slow');
      this.#endWriting();
      if (!this.#isClosed && !this.isIdle) this.#deadline('unacknowledged', ACKNOWLEDGE_MS);
    });
  }

  /** Names the authorities that the agent's next connections have to trust. */
  sendAuthorities(pem: string): void {
    this.#channel.send(DOWN.authorities, Buffer.from(pem, 'latin1'), () => undefined);
  }

  /** Bytes that the connection has not taken yet. */
  get backlog(): number {
    return this.#channel.backlog();
  }

  /** Sends a part of the identities of pods. */
  sendIdentities(payload: Buffer, onWritten: () => void): void {
    this.#identityFrames += 1;
    if (this.#identityFrames === 1) this.#set('identities', READ_MS, () => this.close('slow'));
    this.#channel.send(IDENTITY_FRAME, payload, () => {
      this.#identityFrames -= 1;
      if (this.#identityFrames === 0) this.#cancel('identities');
      else if (!this.#isClosed) this.#set('identities', READ_MS, () => this.close('slow'));
      onWritten();
    });
  }

  /** Ends the stream. */
  close(reason: CloseReason): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#channel.close(reason);
    this.#host.onClose(reason);
    // Not every stream calls back for what it did not write.
    this.#endWriting();
  }

  #endWriting(): void {
    const onRead = this.#onRead;
    this.#onRead = undefined;
    onRead?.();
  }

  /** An agent that has not read the last frames gets none: the deadlines end its stream. */
  #beat(): void {
    if (this.#channel.isDrained()) this.#channel.send(DOWN.alive, Buffer.alloc(0), () => undefined);
    this.#set('alive', HEARTBEAT_MS, () => this.#beat());
  }

  #onFrame({ type, payload }: Frame): void {
    if (this.#isClosed) return;
    if (this.#host.isRelayed !== true && !this.#credit.take()) {
      this.close('flood');
      return;
    }
    if (type === UP.unknownKeys) this.#onUnknownKeys(payload);
    else if (type === IDENTITY_FRAME) this.#onQuestion(payload);
    else this.#onReport(type === UP.report ? parseReport(payload) : undefined);
  }

  #onUnknownKeys(payload: Buffer): void {
    const keys = this.report === undefined ? undefined : parseUnknownKeys(payload);
    if (keys === undefined) this.close('garbage');
    else this.#host.onUnknownKeys(keys);
  }

  #onQuestion(payload: Buffer): void {
    const question = this.report === undefined ? undefined : parseQuestion(payload);
    if (question === undefined) this.close('garbage');
    else this.#host.onQuestion(question);
  }

  #onReport(report: AgentReport | undefined): void {
    // It cannot have processed what it did not get.
    if (report === undefined || report.received > this.#sent) {
      this.close('garbage');
      return;
    }
    this.#deadline('silent', SILENCE_MS);
    this.report = report;
    if (this.isIdle) this.#cancel('unacknowledged');
    this.#host.onReport(report);
  }

  #deadline(reason: Deadline, ms: number): void {
    this.#set(reason, ms, () => this.close(reason));
  }

  #set(name: TimerName, ms: number, run: () => void): void {
    this.#cancel(name);
    this.#timers.set(name, this.#host.clock.after(ms, run));
  }

  #cancel(name: TimerName): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
  }
}
