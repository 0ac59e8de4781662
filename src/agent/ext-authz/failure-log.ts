/*
 * Logs failing ext_authz servers without a line per request: one line when a provider begins to fail, one when it responds again.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** Remembers which providers fail. */
export class FailureLog {
  readonly #logger: Logger;
  readonly #failing = new BoundedMap<string, true>(LIMITS.failingProviders);

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** A check had no usable response. */
  onFailure(provider: string, error: unknown): void {
    if (this.#failing.get(provider) === true) return;
    this.#failing.set(provider, true);
    this.#logger.warn({ name: provider, err: error }, 'ext_authz server fails');
  }

  /** A check had a response. */
  onResponse(provider: string): void {
    if (this.#failing.delete(provider)) this.#logger.info({ name: provider }, 'ext_authz server responds again');
  }
}
