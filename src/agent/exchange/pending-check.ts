/*
 * The ext_authz check of one request: how much of the body it needs, and its response.
 */
import { type CheckResponse, checkFailed } from '../../filters/check-response.ts';
import type { CheckVerdict } from '../../filters/verdict.ts';
import type { BodyPrefix } from '../../http/stream.ts';
import type { ExtAuthzClient } from '../context.ts';

/** Without a client, and when it rejects, every check is denied. */
const ERROR: CheckResponse = checkFailed(403);

/** Bytes of the body that the provider of `check` needs: its limit, and one more where a longer body is refused. 0: none. */
function prefixBytes({ provider }: CheckVerdict): number {
  const limits = provider.includeRequestBodyInCheck;
  return limits === undefined ? 0 : limits.maxRequestBytes + (limits.allowPartialMessage ? 0 : 1);
}

/** At most one check at a time. */
export class PendingCheck {
  readonly #client: ExtAuthzClient;
  readonly #onResponse: (check: CheckVerdict, response: CheckResponse) => void;
  /** The check that waits for the first bytes of the body. */
  #waiting: CheckVerdict | undefined;
  #running: AbortController | undefined;

  /** @param onResponse is called once per check, never during `start`, and not after `abort` */
  constructor(client: ExtAuthzClient | undefined, onResponse: (check: CheckVerdict, response: CheckResponse) => void) {
    this.#client = client ?? (() => Promise.resolve(ERROR));
    this.#onResponse = onResponse;
  }

  /** Sends the check, unless it needs the body. @returns bytes of the body to pass to {@link onPrefix} first; 0: it is sent */
  start(check: CheckVerdict, hasBody: boolean): number {
    const bytes = hasBody ? prefixBytes(check) : 0;
    if (bytes === 0) this.#send(check, undefined);
    else this.#waiting = check;
    return bytes;
  }

  /** Sends the check that waits for the body. */
  onPrefix(prefix: BodyPrefix): void {
    const check = this.#waiting;
    this.#waiting = undefined;
    if (check !== undefined) this.#send(check, prefix);
  }

  #send(check: CheckVerdict, body: BodyPrefix | undefined): void {
    const running = new AbortController();
    this.#running = running;
    void this.#client(check, body, running.signal)
      .catch(() => ERROR)
      .then((response) => {
        if (this.#running !== running) return;
        this.#running = undefined;
        this.#onResponse(check, response);
      });
  }

  /** Forgets the check; its response is ignored. */
  abort(): void {
    const running = this.#running;
    this.#waiting = undefined;
    this.#running = undefined;
    running?.abort();
  }
}
