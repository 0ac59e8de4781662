/*
 * Whether the agent has to know the pods behind addresses: from before the filter chain of a policy that asks for them is built, until another
 * policy is active. A chain that cannot be built leaves the active one as it is. A policy that asks for pods waits until the agent knows them,
 * because it would refuse all of them until then; not for long, because it may also refuse what the one before it allows.
 */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { startDeadline } from '../../limits/timers.ts';
import type { Program } from '../../policy/model/program.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ActivePolicy } from '../context.ts';

/** What knows which programs ask for pods. Absent members: none does, and all pods are known. */
export interface IdentityHost {
  readonly logger: Logger;
  /** Whether the program asks who the pod at the other end of a connection is. */
  needsIdentities?(program: Program): boolean;
  /** {@link IdentityNeed.isNeeded} is true from now on. */
  onIdentitiesNeeded?(): void;
  /** Whether pods are known now, or will not be; {@link IdentityNeed.onIdentities} is called when they are later. */
  hasIdentities?(): boolean;
}

/** A policy whose filter chain is built. */
export interface BuiltPolicy extends ActivePolicy {
  readonly program: Program;
  /** It asks for the identities of pods. */
  readonly identifies: boolean;
}

/** What the policies of one agent need, and the policy that waits for it. */
export class IdentityNeed {
  readonly #host: IdentityHost;
  readonly #clock: Clock;
  readonly #activate: (policy: BuiltPolicy) => void;
  #isActive = false;
  /** The chain of a policy that needs identities is being built. */
  #isNext = false;
  #waiting: BuiltPolicy | undefined;
  /** Runs on when a policy takes the place of one that waits: each is held for the time of the limit at most. */
  #stopTimer: (() => void) | undefined;

  /** @param activate makes a policy the active one */
  constructor(host: IdentityHost, clock: Clock, activate: (policy: BuiltPolicy) => void) {
    this.#host = host;
    this.#clock = clock;
    this.#activate = activate;
  }

  /** The active policy, or one that may soon be active, asks for the identities of pods. */
  get isNeeded(): boolean {
    return this.#isActive || this.#isNext || this.#waiting !== undefined;
  }

  /** The filter chain of `program` is about to be built; {@link end} follows. @returns whether it asks for the identities of pods */
  begin(program: Program): boolean {
    const identifies = this.#host.needsIdentities?.(program) ?? false;
    const isNew = identifies && !this.isNeeded;
    this.#isNext = identifies;
    if (isNew) this.#host.onIdentitiesNeeded?.();
    return identifies;
  }

  /** The filter chain was given to {@link activate}, or not built. */
  end(): void {
    this.#isNext = false;
  }

  /** Makes a policy active now, or when pods are known; it takes the place of one that waits. @returns false: it waits */
  activate(policy: BuiltPolicy): boolean {
    this.#forget();
    if (!policy.identifies || this.#host.hasIdentities?.() !== false) {
      this.#put(policy);
      return true;
    }
    this.#waiting = policy;
    this.#host.logger.info({ digest: policy.digest }, 'the policy waits for the identities of pods');
    this.#stopTimer ??= startDeadline(LIMITS.identityWait, () => this.#onLate(), { clock: this.#clock });
    return false;
  }

  /** Whether the policy of this program and bundle waits. */
  holds(program: Program, digest: string): boolean {
    return this.#waiting?.program === program && this.#waiting.digest === digest;
  }

  /** Pods are known, or will not be. */
  onIdentities(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.#put(waiting);
  }

  /** The policy that waits is not wanted any more. */
  drop(): void {
    this.#forget();
    this.#endWait();
  }

  /** No policy is active, and none waits. */
  withhold(): void {
    this.drop();
    this.#isActive = false;
  }

  #put(policy: BuiltPolicy): void {
    this.#endWait();
    this.#isActive = policy.identifies;
    this.#activate(policy);
  }

  #onLate(): void {
    this.#host.logger.warn('no identities of pods from a controller in time: the policy is active, and peers are unknown');
    this.onIdentities();
  }

  #forget(): void {
    this.#waiting?.filterChain.release();
    this.#waiting = undefined;
  }

  #endWait(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }
}
