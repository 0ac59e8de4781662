/*
 * Holds the active policy. Once a policy is active there always is one, unless the labels of the pod become those of a policy that the
 * bundle lacks.
 */
import { type LocalReply, textReply } from '../../http/local-reply.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import type { ActivePolicy } from '../context.ts';

/** No policy has been active yet: nothing is served. Clients may depend on the bytes of the body. */
export const NOT_READY: LocalReply = textReply(503, 'no policy in force yet', 'no_policy_bundle');
/** The bundle has no policy for the labels of the pod. */
export const LABELS_UNMATCHED: LocalReply = textReply(503, 'no policy for the labels of this pod yet', 'no_policy_for_labels');

/** The active policy of one agent. */
export class ActivePolicyHolder {
  #current: ActivePolicy | undefined;
  #reply = NOT_READY;
  readonly #first = Promise.withResolvers<void>();
  /** Called when the next policy is active. */
  readonly #waiting = new BoundedSet<() => void>(LIMITS.readinessWaits);

  /** What requests get while there is no policy. */
  get reply(): LocalReply {
    return this.#reply;
  }

  /** Undefined until the first policy, and while {@link withhold} is in effect. */
  get current(): ActivePolicy | undefined {
    return this.#current;
  }

  /** Replaces the policy for every request from now on. */
  set(policy: ActivePolicy): void {
    this.#current = policy;
    this.#first.resolve();
    for (const run of this.#waiting) {
      this.#waiting.delete(run);
      run();
    }
  }

  /**
   * Calls `run` once a policy is active: now, or with the next {@link set}.
   * @returns cancels it; undefined: too many wait already, and `run` is not called
   */
  onceActive(run: () => void): (() => void) | undefined {
    if (this.#current !== undefined) run();
    else if (!this.#waiting.add(run)) return undefined;
    return () => this.#waiting.delete(run);
  }

  /** Withholds the policy until the next {@link set}: it is not that of the pod any more. */
  withhold(): void {
    this.#current = undefined;
    this.#reply = LABELS_UNMATCHED;
  }

  /** Resolves when a policy is active. @throws the signal's reason when it aborts first */
  async first(signal: AbortSignal | undefined): Promise<void> {
    if (signal === undefined) {
      await this.#first.promise;
      return;
    }
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#first.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}
