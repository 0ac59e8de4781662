/*
 * Verifies bundles and makes the program for this pod active. Whatever is wrong with a new bundle, the last good one stays active.
 */
import { type WorkloadRef, workloadKey } from '../../api/kube/keys.ts';
import type { KeySet } from '../../bundle/bundle.ts';
import type { BundleFiles, DecodedBundle } from '../../bundle/decode.ts';
import type { LabelIndex } from '../../bundle/label-index.ts';
import { type Clock, systemClock } from '../../clock.ts';
import { type ErrorCode, InvariantError, RefusedError } from '../../errors.ts';
import type { FilterChain } from '../../filters/filter-chain.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import type { Program } from '../../policy/model/program.ts';
import { doStepsApart, type Steps } from '../../steps.ts';
import type { ActivePolicy } from '../context.ts';
import type { BundleFormat, OpenedBundle } from './bundle-format.ts';
import type { Activation, BundleSink } from './bundle-source.ts';
import { type Choice, chooseProgram } from './choose-program.ts';
import { type BuiltPolicy, type IdentityHost, IdentityNeed } from './identity-need.ts';
import { readLastGood, writeLastGood } from './last-good.ts';
import { type AgentTrust, SignedFormat } from './signed-format.ts';
import { TURNS } from './turns.ts';
import { unsignedFormat } from './unsigned-format.ts';

/** Which bundles are accepted, and where the last good one is kept. */
export interface ActivatorOptions {
  /** Bundles for any other workload are rejected; undefined: any is accepted. */
  readonly workload: WorkloadRef | undefined;
  /** Directory that keeps the last good bundle across restarts; undefined: none. */
  readonly stateDir: string | undefined;
  /** Absent: bundles need no signature. */
  readonly trust?: AgentTrust | undefined;
  /** Absent: that of the system. */
  readonly clock?: Clock;
}

/** What an agent enforces, for the controller. */
export interface EnforcedBundle {
  /** Digest of the active bundle; `''`: none is. */
  readonly digest: string;
  /** Number of the bundle that was accepted last; 0: none. */
  readonly number: number;
  /** Why the last bundle was refused; absent: it was not. */
  readonly refused?: ErrorCode;
}

/** What activation needs, and what it reports. */
export interface ActivatorHost extends IdentityHost {
  /** Requests are served between the steps. @param identifies the program needs identities */
  createFilterChain(program: Program, keySets: Readonly<Record<string, KeySet>>, identifies: boolean): Steps<FilterChain>;
  /** Another policy is active. */
  onActive(policy: ActivePolicy): void;
  /** The active policy is not that of the pod any more, and the bundle has none for its labels. */
  onUnmatched(): void;
  /** A new bundle was rejected. */
  onRejected(code: ErrorCode): void;
}

type Labels = Readonly<Record<string, string>>;

const NO_ACTIVATION: Promise<Activation> = Promise.resolve({ kind: 'rejected', code: 'SP_BUNDLE_UNREADABLE' });

/** Verifies and activates the bundles of one agent. */
export class BundleActivator implements BundleSink {
  /** Whether policies ask for pods, and the one that waits for them. */
  readonly identities: IdentityNeed;
  readonly #options: ActivatorOptions;
  readonly #host: ActivatorHost;
  #labels: Labels | undefined;
  readonly #format: BundleFormat;
  #index: LabelIndex | undefined;
  /** The host was called with {@link ActivatorHost.onUnmatched}, and no policy has become active since. */
  #isWithheld = false;
  #good: DecodedBundle | undefined;
  /** What an earlier run kept, until a bundle is accepted. */
  #kept: OpenedBundle | undefined;
  #active: BuiltPolicy | undefined;
  /** Code of the last bundle, if it was refused. */
  #refused: ErrorCode | undefined;
  /** The last bundle that was offered. */
  #offered: Promise<Activation> = NO_ACTIVATION;
  /** The last activation that was asked for. */
  #activation: Promise<Activation> = NO_ACTIVATION;
  /** The last error of each kind, so that it is reported once and not at every read. */
  readonly #reported = new BoundedMap<string, string>(LIMITS.reportedErrors);

  /** @param labels of the pod; undefined: unknown */
  constructor(options: ActivatorOptions, labels: Labels | undefined, host: ActivatorHost) {
    this.#options = options;
    this.#format = formatOf(options);
    this.#labels = labels;
    this.#host = host;
    this.identities = new IdentityNeed(host, options.clock ?? systemClock, (policy) => this.#onActive(policy));
  }

  /** Files that a source offers. */
  get fileNames(): readonly string[] {
    return this.#format.fileNames;
  }

  /** A good bundle has been accepted. */
  get hasBundle(): boolean {
    return this.#good !== undefined;
  }

  /** What is enforced now. */
  get enforced(): EnforcedBundle {
    return {
      digest: this.#active?.digest ?? '',
      number: this.#format.number,
      ...(this.#refused === undefined ? {} : { refused: this.#refused }),
    };
  }

  /**
   * Bundles are opened one after the other, so that the last one that was offered counts.
   * @param mayBeOlder the source lags behind another one: an older bundle is not a fault
   */
  offer(files: BundleFiles, mayBeOlder = false): Promise<Activation> {
    this.#offered = this.#offered.then(() => this.#offerNow(files, mayBeOlder));
    return this.#offered;
  }

  async #offerNow(files: BundleFiles, mayBeOlder: boolean): Promise<Activation> {
    try {
      const opened = await this.#format.open(files);
      this.#refused = undefined;
      this.#accept(opened);
      await this.#save(opened.keep);
    } catch (error) {
      if (mayBeOlder && error instanceof RefusedError && error.code === 'SP_BUNDLE_OLDER') return { kind: 'rejected', code: error.code };
      this.#reported.clear();
      return this.#reject(error);
    }
    return this.activate();
  }

  onUnreadable(error: unknown): Activation {
    return this.#reject(error);
  }

  /** Takes the labels of the pod; {@link activate} then chooses by them. */
  setLabels(labels: Labels): void {
    this.#labels = labels;
  }

  /** Takes the index of the namespace; {@link activate} then chooses by it. */
  setIndex(index: LabelIndex | undefined): void {
    this.#index = index;
  }

  /** Logs `error` unless it is the last one with this message. @returns true: it is new */
  report(message: string, error: unknown): boolean {
    const err = error instanceof Error ? error : new Error(String(error));
    if (this.#reported.get(message) === err.message) return false;
    this.#reported.set(message, err.message);
    const code = err instanceof RefusedError ? err.code : undefined;
    this.#host.logger.error({ err, code, digest: this.#good?.digest }, message);
    return true;
  }

  /**
   * Makes the program for this pod active, unless it is. Bundles and labels may change while a filter chain is built: one activation
   * follows the other, so that the last one sees both as they are then.
   */
  activate(): Promise<Activation> {
    const run = (): Promise<Activation> => this.#activateNow();
    this.#activation = this.#activation.then(run, run);
    return this.#activation;
  }

  async #activateNow(): Promise<Activation> {
    const good = this.#good;
    if (good === undefined) return { kind: 'rejected', code: 'SP_BUNDLE_UNREADABLE' };
    const { digest } = good;
    const choice = chooseProgram(good.bundle, this.#labels, this.#index);
    if (choice.kind !== 'program') {
      this.#onNoProgram(choice, good);
      return { kind: 'waiting', digest };
    }
    const { program } = choice;
    if (program === this.#active?.program && digest === this.#active.digest) {
      this.identities.drop();
      return { kind: 'active', digest };
    }
    if (this.identities.holds(program, digest)) return { kind: 'waiting', digest };
    try {
      const identifies = this.identities.begin(program);
      const filterChain = await doStepsApart(this.#host.createFilterChain(program, good.bundle.keySets, identifies), TURNS);
      return { kind: this.identities.activate({ filterChain, digest, program, identifies }) ? 'active' : 'waiting', digest };
    } catch (error) {
      this.#reject(error);
      return { kind: 'waiting', digest };
    } finally {
      this.identities.end();
    }
  }

  #onActive(policy: BuiltPolicy): void {
    const { filterChain, digest } = policy;
    this.#active = policy;
    this.#isWithheld = false;
    this.#host.onActive({ filterChain, digest });
    this.#host.logger.info({ digest }, 'policy active');
  }

  #onNoProgram(choice: Exclude<Choice, { readonly kind: 'program' }>, good: DecodedBundle): void {
    if (choice.kind === 'none') {
      this.report('the bundle has no program for the labels of this pod; the active policy stays', new Error(describe(good, this.#labels)));
      return;
    }
    const selector = Object.entries(choice.selector).map((pair) => pair.join('='));
    this.report(
      'a policy selects the labels of this pod, and the bundle does not have it yet; requests get 503',
      new Error(selector.join(',')),
    );
    this.identities.withhold();
    if (this.#isWithheld) return;
    this.#isWithheld = true;
    this.#active = undefined;
    this.#host.onUnmatched();
  }

  /** Opens the bundle that was kept by an earlier run, if there is one. Never rejects. */
  async openKept(): Promise<void> {
    const { stateDir } = this.#options;
    const files = stateDir === undefined ? undefined : await readLastGood(stateDir);
    if (files === undefined) return;
    try {
      this.#kept = await this.#format.openKept(files);
    } catch (error) {
      this.#reject(error);
    }
  }

  /** Activates the bundle that was kept by an earlier run, if there is one. */
  async restore(): Promise<void> {
    if (this.#kept === undefined) return;
    this.#accept(this.#kept);
    await this.activate();
    this.#host.logger.warn({ digest: this.#good?.digest }, 'the volume has no good bundle; the last good one of this pod is active');
  }

  #accept({ bundle, digest, problems }: OpenedBundle): void {
    const isKnown = digest === this.#good?.digest;
    this.#kept = undefined;
    if (!isKnown) {
      this.#good = { bundle, digest };
      this.#reported.clear();
      this.#host.logger.info({ digest, workload: workloadKey(bundle.workload) }, 'bundle accepted');
    }
    this.#reportProblems(problems);
  }

  #reportProblems(problems: readonly RefusedError[]): void {
    const [first] = problems;
    if (first === undefined) return;
    const error = new RefusedError(first.code, problems.map(({ message }) => message).join('; '));
    if (!this.report('copies of the bundle rejected; another one is used', error)) return;
    for (const { code } of problems) this.#host.onRejected(code);
  }

  #reject(error: unknown): Activation {
    const code = error instanceof RefusedError ? error.code : 'SP_BUNDLE_UNREADABLE';
    this.#refused = code;
    if (this.report('bundle rejected; the last good one stays active', error)) this.#host.onRejected(code);
    return { kind: 'rejected', code };
  }

  async #save(files: BundleFiles): Promise<void> {
    const { stateDir } = this.#options;
    if (stateDir === undefined) return;
    try {
      await writeLastGood(stateDir, files);
    } catch (error) {
      // A restart then waits for the volume; the bundle itself becomes active.
      this.#host.logger.warn({ err: error }, 'cannot keep the last good bundle');
    }
  }
}

function formatOf({ workload, trust }: ActivatorOptions): BundleFormat {
  if (trust === undefined) return unsignedFormat(workload);
  if (workload === undefined) throw new InvariantError('an agent with a trust anchor needs the name of its workload');
  return new SignedFormat(workload, trust);
}

function describe(good: DecodedBundle, labels: Labels | undefined): string {
  if (labels === undefined) return 'labels unknown';
  return good.bundle.relevantLabels.map((key) => `${key}=${Object.hasOwn(labels, key) ? labels[key] : '(absent)'}`).join(', ');
}
