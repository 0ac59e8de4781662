/*
 * Holds the policy in force. In: policies from the intake. Out: the newest, for every request, and a promise for whoever
 * waits for the first. Once there is one there always is: never open, never empty.
 */
import type { PolicyInForce } from '../context.ts';

export class PolicyHolder {
  #current: PolicyInForce | undefined;
  readonly #first = Promise.withResolvers<void>();

  /** Undefined until the first. */
  get current(): PolicyInForce | undefined {
    return this.#current;
  }

  set(policy: PolicyInForce): void {
    this.#current = policy;
    this.#first.resolve();
  }

  /** Resolves when a policy is in force. @throws the signal's reason when it aborts first */
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
