/*
 * Tells of authorizers that fail, without a line per request. In: outcome of each check. Out: a line when a provider begins
 * to fail and one when it answers again. Used by the authorizer.
 */
import type { Logger } from '../../telemetry/logger.ts';

export class FailureLog {
  readonly #logger: Logger;
  readonly #failing = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  onFailure(provider: string, error: unknown): void {
    if (this.#failing.has(provider)) return;
    this.#failing.add(provider);
    this.#logger.warn({ name: provider, err: error }, 'external authorizer fails');
  }

  onAnswer(provider: string): void {
    if (this.#failing.delete(provider)) this.#logger.info({ name: provider }, 'external authorizer answers again');
  }
}
