/*
 * Bundles from the feed of the controller. The mounted volume is read all the same: while the stream is away it brings what is new, only
 * later. The build makes this module a separate file, so that an agent without a feed does not hold it in memory.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleFiles } from '../../bundle/decode.ts';
import { splitFiles } from '../../bundle/joined-files.ts';
import { type Frame, frameHead } from '../../feed/frames.ts';
import { IDENTITIES, IDENTITY_FRAME } from '../../feed/identities.ts';
import { PartStore } from '../../feed/parts.ts';
import { type AgentReport, DOWN, encodeReport, MAX_DOWN_BYTES, PARTS, UNKNOWN_KEYS, UP } from '../../feed/protocol.ts';
import { connectFeed, type FeedConnection, readFrames } from '../../feed-client/feed-stream.ts';
import type { LIMITS } from '../../limits/agent-limits.ts';
import { pauseFor, startInterval } from '../../limits/timers.ts';
import { replaceFile } from '../../replace-file.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type IdentityClock, PodIdentities } from './pod-identities.ts';
import { UnknownKeys } from './unknown-keys.ts';

/** Where the feed is, and how the agent identifies itself there. */
export interface FeedOptions {
  readonly host: string;
  readonly port: number;
  /** Name in the certificate of the controller. */
  readonly serverName: string;
  /** Certificates of the authorities at the time of injection, in PEM. */
  readonly authorities: string;
  /** File with the ServiceAccount token, which the kubelet renews. */
  readonly tokenFile: string;
}

/** The agent around the feed. */
export interface FeedHost {
  readonly logger: Logger;
  /** Those of the agent: hits of a copy in a separate file would not reach its metrics. */
  readonly limits: typeof LIMITS;
  /** Directory that keeps newer authorities across restarts; undefined: they are not kept. */
  readonly stateDir: string | undefined;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly clock: IdentityClock;
  /** Whether the active policy has conditions on the peer. */
  needsIdentities(): boolean;
  /** {@link FeedSource.hasIdentities} is true. */
  onIdentities(): void;
  /** What the agent enforces now. */
  report(): Omit<AgentReport, 'received'>;
  /** Verifies and activates a bundle and the index next to it; never rejects. */
  offer(files: BundleFiles): Promise<void>;
}

type OpenConnection = Extract<FeedConnection, { readonly kind: 'open' }>;

const AUTHORITIES_FILE = 'feed-authorities.pem';

/** Holds one stream to a controller. */
export class FeedSource {
  readonly #options: FeedOptions;
  readonly #host: FeedHost;
  /** Authorities that a controller named later. */
  #authorities = '';
  /** Frames with bundles of the present stream. */
  #received = 0;
  /** What the last frame left, for the next one, also of another stream. */
  readonly #parts = new PartStore();
  /** Number of the bundle whose parts are kept; 0: nothing is kept. */
  #holds = 0;
  /** The last frame named a part that is not there. */
  #isMissing = false;
  #stream: OpenConnection['socket'] | undefined;
  /** A report is being written. */
  #isReporting = false;
  /** The controller reads what keys the agent lacks. */
  #takesUnknownKeys = false;
  /** Something changed meanwhile. */
  #isDue = false;
  #problem = '';
  readonly #unknownKeys: UnknownKeys;
  /** Pods by their addresses. */
  readonly identities: PodIdentities;
  /** The controller answers questions for identities. */
  #takesQuestions = false;

  constructor(options: FeedOptions, host: FeedHost) {
    this.#options = options;
    this.#host = host;
    this.identities = new PodIdentities(host.limits, host.clock);
    this.#unknownKeys = new UnknownKeys(host.limits, (payload) => {
      // A controller that reads nothing gets nothing more.
      if (this.#stream?.writableNeedDrain === false)
        this.#stream.write(Buffer.concat([frameHead(UP.unknownKeys, payload.length), payload]));
    });
  }

  /** Reports that a key set of the bundle lacks a key, if there is a stream to a controller that wants to know. See {@link UnknownKeys.note} */
  onUnknownKey(keySet: string, kid: () => string): void {
    if (this.#takesUnknownKeys && this.#stream !== undefined) this.#unknownKeys.note(keySet, kid);
  }

  /** Whether pods are known by their addresses now, or the controller does not report them. */
  get hasIdentities(): boolean {
    return this.identities.isCurrent || (this.#stream !== undefined && !this.#takesQuestions);
  }

  /** Asks for the identities of pods, if the active policy needs them and there is a controller that has them. */
  askIdentities(): void {
    // A controller that reads nothing gets nothing more; the table then grows old.
    if (!this.#takesQuestions || this.#stream?.writableNeedDrain !== false || !this.#host.needsIdentities()) return;
    const question = this.identities.question();
    this.#stream.write(Buffer.concat([frameHead(IDENTITY_FRAME, question.length), question]));
  }

  /** Reports to the controller what the agent enforces, if there is a stream. */
  report(): void {
    const socket = this.#stream;
    if (socket === undefined) return;
    // One at a time: a controller that reads nothing gets nothing more.
    this.#isDue = this.#isReporting;
    if (this.#isReporting) return;
    this.#isReporting = true;
    const missing = this.#isMissing ? { missing: true as const } : {};
    const report = encodeReport({ ...this.#host.report(), received: this.#received, ...missing });
    socket.write(Buffer.concat([frameHead(UP.report, report.length), report]), () => {
      if (socket !== this.#stream) return;
      this.#isReporting = false;
      if (this.#isDue) this.report();
    });
  }

  /** Holds a stream until `signal` aborts; then resolves. */
  async follow(signal: AbortSignal): Promise<void> {
    const { stateDir, limits } = this.#host;
    const kept = stateDir === undefined ? '' : await readFile(join(stateDir, AUTHORITIES_FILE), 'utf8').catch(() => '');
    this.#authorities = kept.slice(0, limits.feedAuthoritiesBytes.value);
    let failures = 0;
    while (!signal.aborted) {
      const isGood = await this.#followOnce(signal);
      failures = isGood ? 0 : failures + 1;
      // Thousands of agents lose their streams at the same time, when a controller ends.
      const longestMs = Math.min(limits.feedLongestRetry.value, limits.feedRetry.value * 2 ** Math.min(failures, 8));
      await pauseFor(limits.feedLongestRetry, this.#host.random() * longestMs, signal);
    }
  }

  /** @returns whether there was a stream */
  async #followOnce(signal: AbortSignal): Promise<boolean> {
    let connection = await this.#connect(this.#options, signal);
    // At most once: two controllers that both name the other must not keep an agent busy.
    if (connection.kind === 'elsewhere') connection = await this.#connect(connection, signal);
    if (signal.aborted) return false;
    if (connection.kind !== 'open') {
      this.#log(connection.kind === 'refused' ? connection.reason : 'no controller leads');
      return false;
    }
    this.#received = 0;
    this.#isReporting = false;
    this.#isMissing = false;
    this.#stream = connection.socket;
    this.#takesUnknownKeys = connection.accepts.includes(UNKNOWN_KEYS);
    this.#takesQuestions = connection.accepts.includes(IDENTITIES);
    this.identities.reconnect();
    const stopReports = startInterval(this.#host.limits.feedReport, () => this.report());
    const stopQuestions = startInterval(this.#host.limits.identityQuestion, () => this.askIdentities());
    this.report();
    this.askIdentities();
    if (this.hasIdentities) this.#host.onIdentities();
    this.#host.logger.info('feed connected');
    this.#problem = '';
    const reason = await readFrames(connection, {
      onFrame: (frame) => this.#onFrame(frame),
      maxBytes: MAX_DOWN_BYTES,
      silence: this.#host.limits.feedSilence,
      signal,
    });
    stopReports();
    stopQuestions();
    this.#stream = undefined;
    this.#unknownKeys.clear();
    if (!signal.aborted) this.#log(reason);
    return true;
  }

  async #connect(at: Pick<FeedOptions, 'host' | 'port'>, signal: AbortSignal): Promise<FeedConnection> {
    const { serverName, authorities, tokenFile } = this.#options;
    try {
      const token = (await readFile(tokenFile, 'utf8')).trim();
      const trusted = [authorities, this.#authorities].filter((pem) => pem !== '');
      return await connectFeed(
        {
          host: at.host,
          port: at.port,
          serverName,
          authorities: trusted,
          token,
          takes: PARTS,
          holds: this.#holds,
          patience: this.#host.limits.feedConnectTime,
        },
        signal,
      );
    } catch (error) {
      return { kind: 'refused', reason: String(error) };
    }
  }

  /** @returns why nothing more can be read; undefined: nothing is wrong */
  async #onFrame({ type, payload }: Frame): Promise<string | undefined> {
    if (type === DOWN.bundle) {
      this.#forgetParts();
      await this.#offer(splitFiles(payload));
    } else if (type === DOWN.parts) {
      const assembled = this.#parts.assemble(payload, MAX_DOWN_BYTES);
      if (assembled.kind === 'invalid') {
        this.#forgetParts();
        return `invalid bundle: ${assembled.reason}`;
      }
      this.#isMissing = assembled.kind === 'missing';
      await this.#offer(assembled.kind === 'files' ? assembled.files : undefined);
      const { number, refused } = this.#host.report();
      this.#holds = this.#isMissing || refused !== undefined ? 0 : number;
    } else if (type === DOWN.authorities && payload.length <= this.#host.limits.feedAuthoritiesBytes.value) {
      await this.#keepAuthorities(payload.toString('latin1'));
    } else if (type === IDENTITY_FRAME) {
      this.identities.apply(payload);
      if (this.hasIdentities) this.#host.onIdentities();
    }
    // A later minor version may send more types.
    return undefined;
  }

  async #offer(files: BundleFiles | undefined): Promise<void> {
    if (files !== undefined) await this.#host.offer(files);
    this.#received += 1;
    this.report();
  }

  #forgetParts(): void {
    this.#parts.clear();
    this.#holds = 0;
    this.#isMissing = false;
  }

  async #keepAuthorities(pem: string): Promise<void> {
    if (pem === this.#authorities) return;
    this.#authorities = pem;
    const { stateDir } = this.#host;
    // Without it, a restarted agent trusts those of its injection only.
    if (stateDir !== undefined) await replaceFile(join(stateDir, AUTHORITIES_FILE), pem).catch(() => undefined);
  }

  /** Once for each outage and reason. */
  #log(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#host.logger.warn({ reason: problem }, 'feed away; new bundles come through the mounted volume');
  }
}
