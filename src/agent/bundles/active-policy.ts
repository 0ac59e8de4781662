/*
 * Holds the active policy. Once a policy is active there always is one.
 */
import type { ActivePolicy } from '../context.ts';

/** The active policy of one agent. */
export class ActivePolicyHolder {
  #current: ActivePolicy | undefined;
  readonly #first = Promise.withResolvers<void>();

  /** Undefined until the first policy. */
  get current(): ActivePolicy | undefined {
    return this.#current;
  }

  /** Replaces the policy for every request from now on. */
  set(policy: ActivePolicy): void {
    this.#current = policy;
    this.#first.resolve();
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
