/*
 * Whether the agent has to know the pods behind addresses: from before the filter chain of a policy that asks for them is built, until another
 * policy is active. A chain that cannot be built leaves the active one as it is.
 */
import type { Program } from '../../policy/model/program.ts';

/** What knows which programs ask for pods. Absent members: no program asks for pods. */
export interface IdentityHost {
  /** Whether the program asks who the pod at the other end of a connection is. */
  needsIdentities?(program: Program): boolean;
  /** {@link IdentityNeed.isNeeded} is true from now on. */
  onIdentitiesNeeded?(): void;
}

/** What the policies of one agent need. */
export class IdentityNeed {
  readonly #host: IdentityHost;
  #isActive = false;
  /** The chain of a policy that needs identities is being built. */
  #isNext = false;

  constructor(host: IdentityHost) {
    this.#host = host;
  }

  /** The active policy, or one that may soon be active, asks for the identities of pods. */
  get isNeeded(): boolean {
    return this.#isActive || this.#isNext;
  }

  /** The filter chain of `program` is about to be built; {@link end} follows. @returns whether it asks for the identities of pods */
  begin(program: Program): boolean {
    const identifies = this.#host.needsIdentities?.(program) ?? false;
    const isNew = identifies && !this.isNeeded;
    this.#isNext = identifies;
    if (isNew) this.#host.onIdentitiesNeeded?.();
    return identifies;
  }

  /** The filter chain is active, or was not built. */
  end(): void {
    this.#isNext = false;
  }

  /** Another policy is active. @param identifies asks for the identities of pods */
  onActive(identifies: boolean): void {
    this.#isActive = identifies;
  }
}
