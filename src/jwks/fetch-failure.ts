/*
 * Failures of key fetches, and what authors of policies may learn of them. What a fetch finds inside the cluster (statuses, closed ports,
 * the time until a failure) is for the controller's log only: otherwise a policy would be a port scanner.
 */
import { TransientError } from '../errors.ts';
import type { AddressGuard } from './address-guard.ts';

const MAX_URL_LENGTH = 256;

/** A fetch that failed. Its message contains no body, query or credentials; it is for logs. */
export class FetchFailure extends TransientError {
  /** The message for the status of policies. */
  readonly publicMessage: string;
  /** The failure happened inside the cluster: neither its details nor its time may be reported. */
  readonly isInternal: boolean;

  constructor(message: string, { trail, cause }: { readonly trail: FetchTrail; readonly cause?: unknown }) {
    super('SP_JWKS_FETCH', message, { cause });
    this.isInternal = !trail.isPublic;
    this.publicMessage = trail.isPublic ? message : `${displayUrl(trail.url)} could not be fetched; the controller's log says why`;
  }
}

/** Where one fetch has been: a document, the redirects to it, and the document that it names. */
export class FetchTrail {
  /** The URL of the policy. */
  readonly url: string;
  readonly #guard: AddressGuard;
  #isPublic = true;
  #isHidden = false;

  constructor(url: string, guard: AddressGuard) {
    this.url = url;
    this.#guard = guard;
  }

  /** Whether every address so far is public, and no credentials of the operator have been used. */
  get isPublic(): boolean {
    return (this.#isPublic && !this.#isHidden) || this.#guard.isLocal;
  }

  /** From now on nothing that is found may be reported. */
  hide(): void {
    this.#isHidden = true;
  }

  /** Adds a host. Until its addresses are known it counts as internal: whether a name exists inside the cluster must not be reported either. */
  async visit<A extends { readonly address: string }>(resolve: () => Promise<readonly A[]>): Promise<readonly A[]> {
    const before = this.#isPublic;
    this.#isPublic = false;
    const found = await resolve();
    this.#isPublic = before && found.length > 0 && !found.some(({ address }) => this.#guard.isInternal(address));
    return found;
  }
}

/** The URL in a form that messages may contain: without credentials and query, and not longer than a line. */
export function displayUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return 'an invalid URL';
  const text = `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
  return text.length > MAX_URL_LENGTH ? `${text.slice(0, MAX_URL_LENGTH - 1)}…` : text;
}
